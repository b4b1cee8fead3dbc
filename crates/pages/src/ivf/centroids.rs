//! CENTROIDS: the coarse quantizer, a contiguous run of blocks of f32 vectors, or of vectors of bits.

use ann::element::{Bits, Element};

use crate::error::Error;
use crate::geometry::Geometry;
use crate::meta::Meta;
use crate::page::{Blkno, INVALID_BLKNO, NO_OWNER, Page, PageKind};
use crate::store::{BulkPages, Pages};

/// Reads the centroids, nlist × dims row-major; empty when the index is untrained. They never
/// change: keep them as long as the relation's file lives. One share lock at a time.
pub fn read_centroids<P: Pages>(pages: &P, meta: &Meta) -> Result<Vec<f32>, Error> {
    let Some(geometry) = meta.centroid_geometry().filter(|_| meta.is_trained) else {
        return Ok(Vec::new());
    };
    // Meta::read bounds nlist by the pages there are: no allocation beyond the size of the index, of bits 32 times that.
    let mut centroids = vec![0.0f32; meta.nlist * meta.dims];
    let mut blkno = meta.centroids_first;
    for block in centroids.chunks_mut(geometry.block_vectors * meta.dims) {
        for j in 0..geometry.block_pages {
            let page = pages.read(blkno)?;
            page.check(blkno, PageKind::Centroids, NO_OWNER)?;
            let copied = match meta.element {
                Bits::TAG => copy_bits(&geometry, &page, j, block, meta.dims),
                _ => copy_slices(&geometry, &page, j, block),
            };
            copied.ok_or_else(|| Error::corrupted(blkno, "centroids do not fit their page"))?;
            drop(page);
            blkno = blkno.wrapping_add(1);
            pages.breathe();
        }
    }
    if centroids.iter().any(|x| !x.is_finite()) {
        return Err(Error::corrupted(meta.centroids_first, "a centroid is not finite"));
    }
    Ok(centroids)
}

fn copy_slices(geometry: &Geometry, page: &Page, j: usize, block: &mut [f32]) -> Option<()> {
    let slice = geometry.slice(j);
    let rows: &[f32] = geometry.rows(page, j, block.len() / geometry.dims)?;
    for (vector, row) in block.chunks_mut(geometry.dims).zip(rows.chunks(slice.len())) {
        vector.get_mut(slice.clone())?.copy_from_slice(row);
    }
    Some(())
}

/// The components of the slices of bits on page `j`.
fn copy_bits(
    geometry: &Geometry,
    page: &Page,
    j: usize,
    block: &mut [f32],
    dims: usize,
) -> Option<()> {
    let slice = geometry.slice(j);
    let first = slice.start * Bits::COMPONENTS;
    let rows: &[Bits] = geometry.rows(page, j, block.len() / dims)?;
    for (vector, row) in block.chunks_mut(dims).zip(rows.chunks(slice.len())) {
        let end = (slice.end * Bits::COMPONENTS).min(dims);
        Bits::widen(row, vector.get_mut(first..end)?);
    }
    Some(())
}

/// Appends the CENTROIDS pages; returns the first (INVALID when there are no centroids).
pub(crate) fn write_centroids<W: BulkPages>(
    sink: &mut W,
    meta: &Meta,
    centroids: &[f32],
) -> Result<Blkno, Error> {
    let mut first = INVALID_BLKNO;
    let Some(geometry) = meta.centroid_geometry() else { return Ok(first) };
    for block in centroids.chunks(geometry.block_vectors * meta.dims) {
        for j in 0..geometry.block_pages {
            let mut page = Page::new(PageKind::Centroids, NO_OWNER);
            for (lane, vector) in block.chunks(meta.dims).enumerate() {
                match meta.element {
                    Bits::TAG => {
                        let packed = Bits::pack(vector);
                        geometry.write_row(&mut page, j, lane, bytemuck::cast_slice(&packed));
                    }
                    _ => geometry.write_row(&mut page, j, lane, bytemuck::cast_slice(vector)),
                }
            }
            let blkno = sink.append(&page)?;
            if first == INVALID_BLKNO {
                first = blkno;
            }
        }
    }
    Ok(first)
}
