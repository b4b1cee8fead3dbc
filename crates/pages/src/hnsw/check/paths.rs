//! What the pages of a graph say together: chains of duplicates, records of the levels above, and which nodes a search can
//! come upon.

use super::{Found, is_none, links_blkno, remark};
use crate::checker::{Checker, Severity};
use crate::error::Error;
use crate::hnsw::entry::Entry;
use crate::hnsw::nodes::State;
use crate::hnsw::upper::Upper;
use crate::hnsw::{View, links};
use crate::page::Blkno;
use crate::store::Pages;

/// Every duplicate is in the chain of its node, once.
pub(super) fn duplicates<P: Pages>(checker: &mut Checker<'_, P>, view: &View<'_>, found: &Found) {
    let mut is_met = vec![false; found.ids.len()];
    for (node, id) in (0u32..).zip(&found.ids).filter(|(_, id)| id.state == State::Node) {
        let blkno = links_blkno(view, node);
        if !is_none(id.slot.primary) {
            checker.damage(blkno, format!("node {node} is a duplicate of {}", id.slot.primary));
        }
        let mut next = id.slot.duplicate;
        while !is_none(next) {
            let duplicate = found.get(next).filter(|id| id.state == State::Duplicate);
            let Some(duplicate) = duplicate.filter(|id| id.slot.primary == node) else {
                checker.damage(blkno, format!("chain of duplicates of node {node} names {next}"));
                break;
            };
            // A cycle ends here.
            match is_met.get_mut(next as usize) {
                Some(is_met) if !*is_met => *is_met = true,
                _ => {
                    checker.damage(blkno, format!("duplicate {next} comes twice"));
                    break;
                }
            }
            next = duplicate.slot.duplicate;
        }
    }
    for (node, (id, is_met)) in (0u32..).zip(found.ids.iter().zip(&is_met)) {
        // Vacuum takes a duplicate out of its chain before it frees its lane.
        if id.state == State::Duplicate && id.has_row && !is_met {
            let what = format!("duplicate {node} is in no chain of node {}", id.slot.primary);
            checker.damage(links_blkno(view, node), what);
        }
    }
}

/// Every node has a record for each level up to its own.
pub(super) fn levels<P: Pages>(checker: &mut Checker<'_, P>, view: &View<'_>, found: &mut Found) {
    for i in 0..found.ids.len() {
        let Some(id) = found.ids.get(i).filter(|id| id.state == State::Node).copied() else {
            continue;
        };
        // Vacuum frees the records of a node that is gone before the node.
        if !id.has_row && is_none(id.slot.duplicate) {
            continue;
        }
        let node = i as u32;
        let mut at = id.slot.upper;
        for level in 1..=id.level {
            let claim = found
                .record(at)
                .filter(|claim| claim.node == node && claim.level == level && !claim.is_claimed);
            let Some(claim) = claim else {
                let what = format!("node {node} of level {} has no record of {level}", id.level);
                checker.damage(links_blkno(view, node), what);
                break;
            };
            claim.is_claimed = true;
            at = claim.next;
            if level == id.level && !at.is_none() {
                let what = format!("record of node {node} goes on above level {level}");
                checker.damage(links_blkno(view, node), what);
            }
        }
        if id.level == 0 && !at.is_none() {
            let what = format!("node {node} has records above its level");
            checker.damage(links_blkno(view, node), what);
        }
    }
    for (at, claim) in &found.records {
        if !claim.is_claimed {
            let what = format!("record {} belongs to no node", at.slot);
            remark(checker, at.blkno, Severity::Leak, what);
        }
    }
}

/// Which nodes searches come upon from the entry.
pub(super) fn reachable<P: Pages>(
    checker: &mut Checker<'_, P>,
    view: &View<'_>,
    entry: &Entry,
    found: &Found,
) {
    let mut is_met = vec![false; found.ids.len()];
    let mut open = Vec::new();
    if !is_none(entry.node) {
        let id = found.get(entry.node).filter(|id| id.state == State::Node);
        if id.is_none_or(|id| id.level != entry.level) {
            let what = format!("entry {} is no node of level {}", entry.node, entry.level);
            checker.damage(view.meta.entry_blkno, what);
        }
        open.push(entry.node);
    }
    let mut named = Vec::new();
    while let Some(node) = open.pop() {
        match is_met.get_mut(node as usize) {
            Some(is_met) if !*is_met => *is_met = true,
            _ => continue,
        }
        if !found.is_node(node) {
            continue;
        }
        named.clear();
        // What cannot be read was reported when the page was.
        if links_of(checker.pages, view, found, node, &mut named).is_ok() {
            open.extend(named.iter().filter(|id| is_met.get(**id as usize) == Some(&false)));
        }
        checker.pages.check_interrupts();
    }
    for (node, (id, is_met)) in (0u32..).zip(found.ids.iter().zip(&is_met)) {
        if id.state == State::Node && !is_met && (id.has_row || !is_none(id.slot.duplicate)) {
            let what = format!("no link leads to node {node}");
            remark(checker, links_blkno(view, node), Severity::Unreachable, what);
        }
    }
}

/// All links of a node, on every level.
fn links_of<P: Pages>(
    pages: &P,
    view: &View<'_>,
    found: &Found,
    node: u32,
    out: &mut Vec<u32>,
) -> Result<(), Error> {
    let shape = &view.meta.shape;
    let blkno: Blkno = links_blkno(view, node);
    let (_, slot) = shape.links_place(shape.place(node).1);
    let mut at = {
        let page = pages.read(blkno)?;
        let held = links::slot(&page, blkno, shape, slot)?;
        out.extend_from_slice(links::links(&page, shape, slot, held.n));
        held.upper
    };
    let level = found.get(node).map_or(0, |id| id.level);
    for _ in 0..level {
        if at.is_none() {
            break;
        }
        let page = pages.read(at.blkno)?;
        let upper = Upper::new(&page, at.blkno, shape)?;
        let record = upper.record(usize::from(at.slot))?;
        out.extend_from_slice(upper.links(usize::from(at.slot), record.n));
        at = record.next;
    }
    Ok(())
}
