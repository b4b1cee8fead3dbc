//! What a scan asks of the lists it goes over, whatever they store.

use ann::codec::Codec;
use ann::topk::{Hit, TopK};

use crate::error::Error;
use crate::lists::InvertedLists;
use crate::lists::quantizer::Quantizer;
use crate::search::filter::Filter;
use crate::store::Pages;

/// What a scan has to know of the lists it goes over.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The lists.
    pub lists: &'a InvertedLists,
    /// What finds the lists near to a query; None where there is one.
    pub quantizer: Option<&'a Quantizer>,
    /// The trained code; None where vectors are stored as the column has them.
    pub codec: Option<&'a Codec>,
    /// Whether marked entries are no rows: what scans on a primary believe.
    pub trusts_marks: bool,
    /// What the attributes of rows must be; None: anything.
    pub filter: Option<&'a Filter>,
}

impl<'a> View<'a> {
    /// The view of a scan that may believe marks, or may not.
    pub fn trusting(self, trusts_marks: bool) -> Self {
        Self { trusts_marks, ..self }
    }

    /// The view of a scan that wants only the rows that pass a filter.
    pub fn filtered(self, filter: Option<&'a Filter>) -> Self {
        Self { filter, ..self }
    }
}

/// A list to be scanned.
#[derive(Debug, Clone, Copy)]
pub struct Probed {
    /// Its number.
    pub list_no: u32,
    /// The query's distance to its centroid; 0 when untrained.
    pub distance: f32,
}

/// What scanning a list saw.
#[derive(Debug, Default, Clone, Copy)]
pub struct Seen {
    /// Live tuples that the filter lets pass.
    pub tuples: u64,
    /// All live tuples.
    pub examined: u64,
    /// Of these, hits up to the start of the window.
    pub before: u64,
}

/// The hits that are wanted of a list, by their order.
#[derive(Debug, Default, Clone, Copy)]
pub struct Window {
    /// Those after this one; None: from the nearest on.
    pub after: Option<Hit>,
    /// Those up to this one; None: to the farthest.
    pub until: Option<Hit>,
}

impl Window {
    /// Every hit.
    pub const ALL: Self = Self { after: None, until: None };
}

/// A query that is to see a part of a list, and what it keeps of it.
pub struct Visitor<'s, L> {
    /// The query.
    pub probe: &'s mut L,
    /// The list, as the query probes it.
    pub list: Probed,
    /// Its hits.
    pub top: &'s mut TopK,
    /// Tuples it has visited.
    pub visited: &'s mut u64,
}

/// What compares the entries of a list with a query: a query made ready, with the buffers of the inner loop.
pub trait ListScanner {
    /// Entries of a list outside of its pages, with what else is needed to compare them: what worker threads can scan.
    type Part: Default + Send + Sync;
    /// Queries that gain from being shown a part together.
    const TOGETHER: usize;

    /// Without a query.
    fn new() -> Self;
    /// Takes over a query, copied.
    fn set_query(&mut self, query: &[f32]);
    /// The query.
    fn query(&self) -> &[f32];
    /// Fits the query to the index. False if it is of another dimension or element type.
    fn prepare(&mut self, view: &View<'_>) -> bool;
    /// Whether distances to the query mean anything; without, rows come in order of tid.
    fn has_direction(&self) -> bool;
    /// The operator's distance of a key.
    fn distance_of(&self, key: f64) -> f64;
    /// Offers every live row of a list that is in `window` to `top`.
    fn scan_list<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        list: Probed,
        window: &Window,
        top: &mut TopK,
    ) -> Result<Seen, Error>;
    /// Copies the live rows of a list, with the locks of a scan, into `part`, which is empty before and after; calls
    /// `give` with every `room` bytes or so, and at the end, with no lock held: it leaves an empty part behind.
    fn copy_list<P: Pages>(
        pages: &P,
        view: &View<'_>,
        list_no: u32,
        room: usize,
        part: &mut Self::Part,
        give: &mut dyn FnMut(&mut Self::Part),
    ) -> Result<(), Error>;
    /// Bytes of a part, about.
    fn part_bytes(part: &Self::Part) -> usize;
    /// Offers every row of a part of a list to some queries, with the keys of [`ListScanner::scan_list`].
    fn scan_part(view: &View<'_>, part: &Self::Part, visitors: &mut [Visitor<'_, Self>])
    where
        Self: Sized;
}

/// Hands a hit on if it is in the window.
#[inline]
pub(crate) fn offer(hit: Hit, window: &Window, top: &mut TopK, seen: &mut Seen) {
    match (&window.after, &window.until) {
        (None, None) => top.push(hit),
        (Some(after), _) if hit.order(after).is_le() => seen.before += 1,
        (_, Some(until)) if hit.order(until).is_gt() => {}
        _ => top.push(hit),
    }
}
