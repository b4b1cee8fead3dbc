//! A graph as a file: IndexHNSWFlat or IndexHNSWSQ with the links that the index has.
//!
//! FAISS knows no duplicates: there every row is a vector with links of its own. A node with its duplicates becomes a *group*: the
//! first of its rows that the snapshot sees leads it, with the links of the node on all levels; the others follow each other by links
//! on level 0, for which every vector gets two slots more than the index has. A node whose rows are all gone is passed through
//! here and left out there: what linked to it is linked to what it linked to.

use std::collections::HashMap;

use ann::codec::CodeKind;
use faissfile::write::{GraphShape, Head, Writer};
use pages::hnsw::export::{Linked, for_each_lane, links_of};
use pages::hnsw::nodes::State;
use pages::hnsw::{Code, INVALID_NODE};

use super::assembly::{Assembly, Spool};
use super::export::{Exporting, as_faiss_has_them};
use super::rows::RowReader;
use super::vectors::Vectors;
use crate::am::graph::HnswIndex;
use crate::am::interrupts::check_for_interrupts;
use crate::am::options::options_of;
use crate::am::progress::{Phase, set_phase, set_tuples_done, set_tuples_total};
use crate::am::recall_target;
use crate::am::report::checked;
use crate::am::value::Column;

/// Rows between two reports of progress.
const REPORTED: usize = 1024;
/// Slots of a vector on level 0 beside those of the index, where there are duplicates.
const SLOTS_FOR_DUPLICATES: usize = 2;

/// The file of a graph.
pub fn file<E: Column>(exporting: &Exporting<'_>, graph: &HnswIndex) -> Assembly {
    let params = &graph.meta.params;
    let rows = Rows::read::<E>(exporting, graph);
    let groups = Groups::of(exporting, graph, &rows);
    set_phase(Phase::ReadingLinks);
    set_tuples_total(rows.ids.len() as u64);
    let slots = graph.meta.shape.links_max(0);
    let extra = if groups.members.is_empty() { 0 } else { SLOTS_FOR_DUPLICATES };
    let shape = GraphShape { m: params.m, slots: slots + extra };
    let links = Links { exporting, graph, groups: &groups, shape };
    let mut spool = Spool::new(exporting.index);
    for place in 0..rows.ids.len() {
        spool.append(&links.of(place as u32));
        if place % REPORTED == 0 {
            check_for_interrupts();
            set_tuples_done(place as u64);
        }
    }
    let entry = entry_of(&groups.levels);
    let (options, tuples) =
        (options_of(exporting.index), recall_target::tuples_of(exporting.index));
    let ef_search = recall_target::ef_search(&options, Some(&graph.meta), None, tuples);
    let mut end = Writer::new();
    let level =
        entry.and_then(|entry| groups.levels.get(entry)).map_or(-1, |level| i32::from(*level));
    let at = entry.map_or(-1, |entry| entry as i32);
    end.graph_end(at, level, params.ef_construction as i32, ef_search as i32);
    rows.into_file(params.code, spool, end, (&shape, &groups.levels))
}

/// A vector of the highest level: where searches start.
fn entry_of(levels: &[u8]) -> Option<usize> {
    (0..levels.len()).max_by_key(|i| (levels.get(*i), std::cmp::Reverse(*i)))
}

/// What is known of a row.
struct Row {
    id: u32,
    level: u8,
    is_duplicate: bool,
}

/// The rows that the snapshot sees, in the order of their ids in the graph, which becomes that of the file.
struct Rows {
    ids: Vec<Row>,
    vectors: Vectors,
    keys: Spool,
    head: Head,
    normalizes: bool,
}

impl Rows {
    fn read<E: Column>(exporting: &Exporting<'_>, graph: &HnswIndex) -> Self {
        let (index, params) = (exporting.index, &graph.meta.params);
        let dims = params.dims;
        let mut reader = exporting.rows(dims);
        let mut lanes: HashMap<u32, (u8, bool)> = HashMap::new();
        let (mut ids, mut vectors) = (Vec::new(), Vectors::new(index, dims));
        let mut keys = Spool::new(index);
        let mut take = |reader: &mut RowReader, lanes: &mut HashMap<u32, (u8, bool)>| {
            let mut portion = reader.read::<E>();
            as_faiss_has_them(params.metric, dims, &mut portion.points);
            vectors.append(&portion.points);
            for (id, key) in portion.marks.iter().zip(&portion.keys) {
                let (level, is_duplicate) = lanes.get(id).copied().unwrap_or_default();
                ids.push(Row { id: *id, level, is_duplicate });
                keys.append(&key.to_le_bytes());
            }
            lanes.clear();
        };
        let read = for_each_lane(exporting.pages, &graph.view(), |id, lane| {
            if lane.tid.is_free() || lane.state == State::Free {
                return;
            }
            lanes.insert(id, (lane.level, lane.state == State::Duplicate));
            if reader.ask(id, lane.tid) {
                take(&mut reader, &mut lanes);
            }
        });
        checked(index, read);
        take(&mut reader, &mut lanes);
        reader.end();
        let plan = faissfile::Plan {
            metric: params.metric,
            dims,
            has_lists: false,
            code: None,
            normalizes: false,
            rotation: None,
            nprobe: 1,
            centroids: &[],
            params: &[],
        };
        let head = plan.head(ids.len() as u64);
        let normalizes = params.metric == ann::Metric::Cosine;
        Self { ids, vectors, keys, head, normalizes }
    }

    fn into_file(
        self,
        code: Code,
        links: Spool,
        end: Writer,
        (shape, levels): (&GraphShape, &[u8]),
    ) -> Assembly {
        let (head, mut file) = (self.head, Assembly::default());
        let mut out = Writer::new();
        out.head(b"IxM2", &head);
        if self.normalizes {
            out.pre_transform(&head, true, None);
        }
        out.head(if code == Code::Flat { b"IHNf" } else { b"IHNs" }, &head);
        out.graph(shape, levels);
        file.bytes(out.into_bytes());
        file.spool(links);
        file.bytes(end.into_bytes());
        match code {
            Code::Flat => self.vectors.flat(&head, &mut file),
            Code::SqFp16 => self.vectors.coded(CodeKind::SqFp16, &head, &mut file),
            Code::Sq8 => self.vectors.coded(CodeKind::Sq8, &head, &mut file),
        }
        file.bytes(head.ntotal.to_le_bytes().into());
        file.spool(self.keys);
        file
    }
}

/// Which rows are of one node. What is held of a row without duplicates is its id and its level.
struct Groups {
    /// The ids of the rows, in order.
    ids: Vec<u32>,
    /// The level of every row in the file: that of its node for the leader of a group, else 0.
    levels: Vec<u8>,
    /// The places of the rows of nodes with duplicates, the leader first.
    members: HashMap<u32, Vec<u32>>,
    /// The nodes of rows that are duplicates.
    node_of: HashMap<u32, u32>,
}

impl Groups {
    fn of(exporting: &Exporting<'_>, graph: &HnswIndex, rows: &Rows) -> Self {
        let mut groups = Self {
            ids: rows.ids.iter().map(|row| row.id).collect(),
            levels: rows.ids.iter().map(|row| row.level).collect(),
            members: HashMap::new(),
            node_of: HashMap::new(),
        };
        let linked = |id, level| {
            checked(exporting.index, links_of(exporting.pages, &graph.view(), id, level))
        };
        for (place, row) in (0u32..).zip(&rows.ids).filter(|(_, row)| row.is_duplicate) {
            let node = linked(row.id, 0).primary;
            // By now it may be a node: VACUUM has taken the one that it was a duplicate of.
            if node != INVALID_NODE {
                groups.node_of.insert(place, node);
                groups.members.entry(node).or_default().push(place);
            }
            groups.set_level(place, 0);
        }
        let mut leaders = Vec::new();
        for (node, places) in &mut groups.members {
            match groups.ids.binary_search(node) {
                Ok(place) => places.insert(0, place as u32),
                Err(_) => {
                    let n = linked(*node, u8::MAX).levels.len();
                    leaders.extend(places.first().map(|place| (*place, n.saturating_sub(1) as u8)));
                }
            }
        }
        leaders.into_iter().for_each(|(place, level)| groups.set_level(place, level));
        groups
    }

    fn set_level(&mut self, place: u32, level: u8) {
        if let Some(to) = self.levels.get_mut(place as usize) {
            *to = level;
        }
    }

    fn level(&self, place: u32) -> u8 {
        self.levels.get(place as usize).copied().unwrap_or(0)
    }

    /// The leader of a node's group; None for a node without rows.
    fn leader(&self, node: u32) -> Option<u32> {
        match self.members.get(&node) {
            Some(places) => places.first().copied(),
            None => self.ids.binary_search(&node).ok().map(|place| place as u32),
        }
    }

    /// The node of a row, and the rows of its group where there are several.
    fn group(&self, place: u32) -> (u32, &[u32]) {
        let own = self.ids.get(place as usize).copied().unwrap_or(INVALID_NODE);
        let node = self.node_of.get(&place).copied().unwrap_or(own);
        (node, self.members.get(&node).map_or(&[], |places| places))
    }
}

/// Reads links and says them in places.
struct Links<'a> {
    exporting: &'a Exporting<'a>,
    graph: &'a HnswIndex,
    groups: &'a Groups,
    shape: GraphShape,
}

impl Links<'_> {
    /// All slots of a row, as they are written.
    fn of(&self, place: u32) -> Vec<u8> {
        let level = self.groups.level(place);
        let mut slots = vec![-1i32; self.shape.slots_of(level) as usize];
        let (node, places) = self.groups.group(place);
        let linked = self.linked(node, level);
        let mut found = beside(place, places);
        let (low, high) = slots.split_at_mut(self.shape.slots);
        self.add(place, linked.levels.first(), 0, &mut found, low.len());
        fill(low, &found);
        for (above, slots) in (1u8..).zip(high.chunks_mut(self.shape.m.max(1))) {
            found.clear();
            let links = linked.levels.get(usize::from(above));
            self.add(place, links, above, &mut found, slots.len());
            fill(slots, &found);
        }
        slots.iter().flat_map(|slot| slot.to_le_bytes()).collect()
    }

    fn linked(&self, node: u32, level: u8) -> Linked {
        let linked = links_of(self.exporting.pages, &self.graph.view(), node, level);
        checked(self.exporting.index, linked)
    }

    /// Adds the places of linked nodes until there are `most`, each once. What has no rows is looked through.
    fn add(
        &self,
        own: u32,
        linked: Option<&Vec<u32>>,
        level: u8,
        found: &mut Vec<u32>,
        most: usize,
    ) {
        let mut take = |node: u32| -> bool {
            let Some(place) = self.groups.leader(node) else { return false };
            let is_there = self.groups.level(place) >= level;
            if is_there && place != own && found.len() < most && !found.contains(&place) {
                found.push(place);
            }
            true
        };
        let mut gone = Vec::new();
        for node in linked.into_iter().flatten() {
            if !take(*node) {
                gone.push(*node);
            }
        }
        for node in gone {
            let beyond = self.linked(node, level);
            for node in beyond.levels.get(usize::from(level)).into_iter().flatten() {
                take(*node);
            }
        }
    }
}

/// The rows before and after one of its group, and for all but the first the first: from there the way goes on.
fn beside(place: u32, places: &[u32]) -> Vec<u32> {
    let Some(at) = places.iter().position(|other| *other == place) else { return Vec::new() };
    let near = at.checked_sub(1).into_iter().chain([at + 1]);
    let mut found: Vec<u32> = near.filter_map(|at| places.get(at).copied()).collect();
    if at > 1 {
        found.extend(places.first());
    }
    found
}

fn fill(slots: &mut [i32], places: &[u32]) {
    slots.iter_mut().zip(places).for_each(|(slot, place)| *slot = *place as i32);
}
