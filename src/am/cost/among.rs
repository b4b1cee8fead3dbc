//! What a scan costs that looks among the rows of a bitmap: for the time of a question the estimate knows which part they are.

use std::cell::Cell;

thread_local! {
    static PART: Cell<Option<f64>> = const { Cell::new(None) };
}

/// Forgets the part again, also where an error unwinds.
struct Asked;

impl Drop for Asked {
    fn drop(&mut self) {
        PART.set(None);
    }
}

/// Lets `ask` ask the server for the cost of a scan among a part of the rows.
pub fn among(part: f64, ask: impl FnOnce()) {
    let _asked = Asked;
    PART.set(Some(part));
    ask();
}

/// The part of the rows that the scan looks among, if the question is of such a one.
pub fn part() -> Option<f64> {
    PART.get()
}
