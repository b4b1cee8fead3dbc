//! The pages of every chunk: what they are, and what each of them says by itself.

use ann::element::{Bits, Element};
use half::f16;

use super::{Found, bad_link};
use crate::checker::Checker;
use crate::error::Error;
use crate::geometry::Geometry;
use crate::hnsw::nodes::{Nodes, State};
use crate::hnsw::sparse::RowAt;
use crate::hnsw::{Code, View, links, to_coded};
use crate::page::{Blkno, INVALID_BLKNO, PageKind};
use crate::store::Pages;

/// A component of a code computed on another kind of CPU differs by no more.
const CODE_SLACK: u8 = 1;
/// And a step by no greater share.
const STEP_SLACK: f32 = 1e-4;

/// All chunks.
pub(super) fn all<P: Pages>(checker: &mut Checker<'_, P>, view: &View<'_>, found: &mut Found) {
    for chunk in 0..view.map.n_chunks() {
        let (entry, _) = view.map.place(chunk);
        for part in 0..view.meta.shape.pages() {
            if checker.is_full() {
                return;
            }
            let blkno = view.map.cached(chunk, part);
            if blkno == INVALID_BLKNO || !checker.meet(blkno, entry) {
                continue;
            }
            if let Err(error) = page(checker, view, found, Place { chunk, part, blkno }) {
                checker.error(blkno, &error);
            }
            checker.pages.check_interrupts();
        }
        vectors(checker, view, found, chunk);
        attributes(checker, view, found, chunk);
    }
}

#[derive(Clone, Copy)]
struct Place {
    chunk: u32,
    part: usize,
    blkno: Blkno,
}

fn page<P: Pages>(
    checker: &mut Checker<'_, P>,
    view: &View<'_>,
    found: &mut Found,
    place: Place,
) -> Result<(), Error> {
    let shape = &view.meta.shape;
    if place.part < shape.nodes_pages {
        nodes_page(checker, view, found, place)
    } else if place.part < shape.nodes_pages + shape.links_pages {
        links_page(checker, view, found, place)
    } else {
        let is_data = place.part < shape.attributes_part();
        let kind = if is_data { PageKind::Data } else { PageKind::Attributes };
        let page = checker.pages.read(place.blkno)?;
        page.check(place.blkno, kind, place.chunk)
    }
}

fn nodes_page<P: Pages>(
    checker: &mut Checker<'_, P>,
    view: &View<'_>,
    found: &mut Found,
    Place { chunk, part, blkno }: Place,
) -> Result<(), Error> {
    let shape = &view.meta.shape;
    let mut wrong = Vec::new();
    let page = checker.pages.read(blkno)?;
    let nodes = Nodes::new(&page, blkno, shape, chunk, part)?;
    let mut n_free = 0;
    for (place, lane) in shape.lanes_of_nodes(part).enumerate() {
        let node = shape.node(chunk, lane);
        let held = nodes.lane(blkno, place)?;
        let is_node = held.state == State::Node;
        if is_node != held.factors.bias.is_finite() {
            wrong.push(format!("node {node} has factors that do not fit its state"));
        }
        if is_node && !is_code_of_bits(view, nodes.code(place), held.factors.step) {
            wrong.push(format!("bits of node {node} are not what they are counted as"));
        }
        if held.state == State::Free && !held.tid.is_free() {
            wrong.push(format!("lane {node} is free and has a row"));
        }
        if held.state != State::Free && place >= nodes.n_used {
            wrong.push(format!("lane {node} is in use beyond the {} used so far", nodes.n_used));
        }
        n_free += usize::from(held.state == State::Free && place < nodes.n_used);
        if !held.tid.is_free() {
            checker.tids.push(held.tid.to_u64());
        }
        if let Some(id) = found.ids.get_mut(node as usize) {
            (id.state, id.level, id.has_row) = (held.state, held.level, !held.tid.is_free());
            if view.meta.params.is_sparse() && is_node {
                id.vector = RowAt::of_code(nodes.code(place));
            }
        }
    }
    if n_free != nodes.n_free {
        wrong.push(format!("NODES page counts {} free lanes of {n_free}", nodes.n_free));
    }
    drop(page);
    wrong.into_iter().for_each(|what| checker.damage(blkno, what));
    Ok(())
}

/// Whether a code is one that a vector of bits may have, beside how many are set; true of vectors of floats.
fn is_code_of_bits(view: &View<'_>, code: &[u8], step: f32) -> bool {
    let params = &view.meta.params;
    if params.element != Bits::TAG {
        return true;
    }
    let bits: &[Bits] = bytemuck::cast_slice(code);
    // What is beyond the last bit is 0.
    let again = Bits::pack(&Bits::widened(bits, params.dims));
    let (head, tail) = bits.split_at(again.len().min(bits.len()));
    head == again && Bits::is_zero(tail) && Bits::norm_sqr(bits) == step
}

fn links_page<P: Pages>(
    checker: &mut Checker<'_, P>,
    view: &View<'_>,
    found: &mut Found,
    Place { chunk, part, blkno }: Place,
) -> Result<(), Error> {
    let shape = &view.meta.shape;
    let mut wrong = Vec::new();
    let page = checker.pages.read(blkno)?;
    links::check(&page, blkno, chunk, part)?;
    for (slot, lane) in shape.lanes_of(part).enumerate() {
        let node = shape.node(chunk, lane);
        let held = links::slot(&page, blkno, shape, slot)?;
        let named = links::links(&page, shape, slot, held.n);
        wrong.extend(bad_link(found, named).map(|id| format!("node {node} is linked to {id}")));
        if let Some(id) = found.ids.get_mut(node as usize) {
            id.slot = held;
        }
    }
    drop(page);
    wrong.into_iter().for_each(|what| checker.damage(blkno, what));
    Ok(())
}

/// The attributes of a chunk's rows: any bytes are some, if there is a page for them.
fn attributes<P: Pages>(checker: &mut Checker<'_, P>, view: &View<'_>, found: &Found, chunk: u32) {
    let shape = &view.meta.shape;
    for part in shape.attributes_part()..shape.pages() {
        let in_use = |lane| {
            let id = found.ids.get(shape.node(chunk, lane) as usize);
            id.is_some_and(|id| id.state != State::Free)
        };
        let is_missing = view.map.cached(chunk, part) == INVALID_BLKNO;
        if is_missing && shape.lanes_of(part).any(in_use) {
            let what = format!("page {part} of chunk {chunk} is missing, and has rows");
            checker.damage(view.map.place(chunk).0, what);
        }
    }
}

/// The vectors of a chunk's nodes: finite, and as coded where they are stored as the column has them.
fn vectors<P: Pages>(checker: &mut Checker<'_, P>, view: &View<'_>, found: &Found, chunk: u32) {
    let Some(geometry) = view.meta.shape.vectors else { return };
    let checked = match geometry.element_size {
        2 => vectors_of::<P, f16>(checker, view, found, chunk, &geometry),
        _ => vectors_of::<P, f32>(checker, view, found, chunk, &geometry),
    };
    if let Err(error) = checked {
        checker.error(view.map.place(chunk).0, &error);
    }
}

fn vectors_of<P: Pages, E: Element>(
    checker: &mut Checker<'_, P>,
    view: &View<'_>,
    found: &Found,
    chunk: u32,
    geometry: &Geometry,
) -> Result<(), Error> {
    let shape = &view.meta.shape;
    for block in 0..shape.data_pages / geometry.block_pages {
        let lanes =
            shape.lanes_of(shape.nodes_pages + shape.links_pages + block * geometry.block_pages);
        if !lanes.clone().any(|lane| found.is_node(shape.node(chunk, lane))) {
            continue;
        }
        let mut rows = vec![E::zeroed(); lanes.len() * geometry.dims];
        for j in 0..geometry.block_pages {
            let part = shape.nodes_pages + shape.links_pages + block * geometry.block_pages + j;
            let blkno = view.map.cached(chunk, part);
            if blkno == INVALID_BLKNO {
                let what = format!("page {part} of chunk {chunk} is missing, and has nodes");
                return Err(Error::corrupted(view.map.place(chunk).0, what));
            }
            let page = checker.pages.read(blkno)?;
            page.check(blkno, PageKind::Data, chunk)?;
            let slice = geometry.slice(j);
            let held = geometry.rows::<E>(&page, j, lanes.len()).unwrap_or_default();
            for (row, part) in rows.chunks_mut(geometry.dims).zip(held.chunks(slice.len().max(1))) {
                if let Some(to) = row.get_mut(slice.clone()) {
                    to.copy_from_slice(part);
                }
            }
        }
        for (lane, row) in lanes.zip(rows.chunks(geometry.dims)) {
            let node = shape.node(chunk, lane);
            if found.is_node(node)
                && let Some(what) = vector_problem(checker, view, chunk, lane, row)?
            {
                checker.damage(view.map.place(chunk).0, format!("vector of node {node} {what}"));
            }
        }
        checker.pages.check_interrupts();
    }
    Ok(())
}

fn vector_problem<P: Pages, E: Element>(
    checker: &Checker<'_, P>,
    view: &View<'_>,
    chunk: u32,
    lane: usize,
    row: &[E],
) -> Result<Option<&'static str>, Error> {
    let params = &view.meta.params;
    let mut point = E::widened(row, params.dims);
    if !E::is_finite(row) {
        return Ok(Some("is not finite"));
    }
    if params.code != Code::Flat {
        return Ok(None);
    }
    to_coded(params.metric, &mut point);
    let mut code = vec![0; view.grid.size()];
    let factors = view.grid.encode(&point, &mut code);
    let shape = &view.meta.shape;
    let (part, place) = shape.nodes_place(lane);
    let blkno = view.map.cached(chunk, part);
    let page = checker.pages.read(blkno)?;
    let nodes = Nodes::new(&page, blkno, shape, chunk, part)?;
    let held = nodes.lane(blkno, place)?.factors.step;
    let same = (held - factors.step).abs() <= STEP_SLACK * factors.step
        && nodes.code(place).iter().zip(&code).all(|(a, b)| a.abs_diff(*b) <= CODE_SLACK);
    Ok((!same).then_some("is not what its code says"))
}
