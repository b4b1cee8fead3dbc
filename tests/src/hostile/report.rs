//! The outcomes of a run as a table, the worst first.

use std::fmt;

/// How far below FAISS is a failure.
pub const SLACK: f64 = 0.02;

/// One index after one history.
#[derive(Clone, Debug)]
pub struct Cell {
    pub kind: &'static str,
    pub index: String,
    pub metric: &'static str,
    pub history: &'static str,
    /// recall@10; none where it could not be asked.
    pub ours: Option<f64>,
    /// None where FAISS refuses the rows or the index.
    pub theirs: Option<f64>,
    /// What went wrong besides.
    pub problems: Vec<String>,
}

impl Cell {
    /// What FAISS finds more than ours.
    fn loss(&self) -> f64 {
        match (self.ours, self.theirs) {
            (Some(ours), theirs) => theirs.unwrap_or(0.0) - ours,
            (None, Some(_)) => 1.0,
            (None, None) => 0.0,
        }
    }

    /// Whether FAISS finds more.
    pub fn is_below(&self) -> bool {
        self.loss() > SLACK
    }

    pub fn fails(&self) -> bool {
        self.is_below() || !self.problems.is_empty()
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let recall = |recall: Option<f64>| recall.map_or("none".to_owned(), |r| format!("{r:.3}"));
        let Self { kind, index, metric, history, ours, theirs, problems } = self;
        let (ours, theirs) = (recall(*ours), recall(*theirs));
        let said = problems.join("; ").replace('\n', " ");
        write!(f, "| {kind} | {index} | {metric} | {history} | {ours} | {theirs} | {said} |")
    }
}

/// All cells, the worst first, and how many fail.
pub fn table(cells: &[Cell]) -> String {
    let mut sorted: Vec<&Cell> = cells.iter().collect();
    let rank = |cell: &Cell| (cell.fails(), cell.loss());
    sorted.sort_by(|a, b| {
        let ((failed, loss), (other_failed, other_loss)) = (rank(a), rank(b));
        other_failed.cmp(&failed).then(other_loss.total_cmp(&loss))
    });
    let mut text =
        "| hostile kind | method, code | metric | history | ours | FAISS | problems |\n".to_owned();
    text.push_str("|---|---|---|---|---|---|---|\n");
    sorted.iter().for_each(|cell| text.push_str(&format!("{cell}\n")));
    let failed = cells.iter().filter(|cell| cell.fails()).count();
    text.push_str(&format!("\n{} cells, {failed} failed\n", cells.len()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_comes_first() {
        let cell = |ours, theirs, problems: &[&str]| Cell {
            kind: "k",
            index: "i".into(),
            metric: "l2",
            history: "built",
            ours: Some(ours),
            theirs: Some(theirs),
            problems: problems.iter().map(|s| (*s).to_owned()).collect(),
        };
        let cells = [cell(0.99, 1.0, &[]), cell(0.5, 1.0, &[]), cell(1.0, 1.0, &["check: no"])];
        let text = table(&cells);
        let order: Vec<&str> = text.lines().skip(2).take(3).map(|l| &l[23..28]).collect();
        assert_eq!(order, ["0.500", "1.000", "0.990"], "{text}");
        assert!(text.ends_with("3 cells, 2 failed\n"));
    }
}
