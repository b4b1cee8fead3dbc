//! What codes lose on all rows of a build: a sample is thinner, and what lies close together in the table may lie apart there.

use ann::element::Float;
use ann::hnsw::{Grid, VectorQuery, is_misplaced, is_too_much, looked_at, nearest_by_code};
use ann::metric::Metric;
use ann::parallel;
use half::f16;
use pages::Error;
use pages::hnsw::MetaParams;

use super::build::no_workers;
use super::coder;
use super::rows::{Nodes, Rows};
use crate::am::interrupts::check_for_interrupts;

/// Whether searches are to go by vectors since codes lose too much. If so, and `points_max` bytes of memory have room for the
/// vectors, the graph is built of them; else of codes, which is worse. Not known where no vectors are stored.
pub fn look(
    params: &MetaParams,
    grid: &Grid,
    rows: &mut Rows,
    nodes: &Nodes,
    (threads, points_max): (usize, usize),
) -> Result<bool, Error> {
    let stored = rows.vectors.size();
    if stored == 0 {
        return Ok(false);
    }
    let asked: Vec<u32> = looked_at(nodes.rows.len() as u32).collect();
    let mut near = vec![Vec::new(); asked.len()];
    let of = rows.coded();
    let found = parallel::run(
        threads,
        |_job| check_for_interrupts(),
        |job| {
            parallel::for_each_chunk(&mut near, 1, |i, near| {
                if let (Some(node), Some(near), false) =
                    (asked.get(i), near.first_mut(), job.cancelled())
                {
                    *near = nearest_by_code(grid, of, *node);
                }
            });
        },
    );
    found.unwrap_or_else(|e| no_workers(&e));
    let mut misplaced = 0;
    let mut vector = Reader { params, rows, nodes, bytes: Vec::new() };
    for (node, near) in asked.iter().zip(&near) {
        let query = VectorQuery::new(params.metric, &vector.read(*node)?);
        let mut keys = Vec::with_capacity(near.len());
        for near in near {
            keys.push(query.key(&vector.read(near.node)?));
        }
        misplaced += usize::from(is_misplaced(&keys));
        check_for_interrupts();
    }
    if !is_too_much(misplaced, asked.len()) {
        return Ok(false);
    }
    let bytes = nodes.rows.len() * params.dims * size_of::<f32>();
    if bytes <= points_max.saturating_sub(vector.rows.vectors.in_memory()) {
        let mut points = Vec::with_capacity(nodes.rows.len() * params.dims);
        for node in 0..nodes.rows.len() as u32 {
            points.extend(vector.point(node)?);
        }
        rows.build_by_vectors(points);
    }
    Ok(true)
}

/// Reads the stored vectors of nodes.
struct Reader<'a> {
    params: &'a MetaParams,
    rows: &'a mut Rows,
    nodes: &'a Nodes,
    bytes: Vec<u8>,
}

impl Reader<'_> {
    fn read(&mut self, node: u32) -> Result<Vec<f32>, Error> {
        let row = self.nodes.rows.get(node as usize).copied().unwrap_or_default();
        self.rows.vectors.read(row, &mut self.bytes)?;
        Ok(match self.bytes.len() / self.params.dims.max(1) {
            2 => widen::<f16>(&self.bytes),
            _ => widen::<f32>(&self.bytes),
        })
    }

    /// Of length 1 under cosine, as it is under inner product, else shortened.
    fn point(&mut self, node: u32) -> Result<Vec<f32>, Error> {
        let (vector, mut point) = (self.read(node)?, Vec::new());
        if self.params.metric == Metric::InnerProduct {
            return Ok(vector);
        }
        coder::transform(self.params.metric).apply(&vector, &mut point);
        Ok(point)
    }
}

fn widen<E: Float>(bytes: &[u8]) -> Vec<f32> {
    let elements = bytes.chunks_exact(size_of::<E>());
    elements.map(|bytes| bytemuck::pod_read_unaligned::<E>(bytes).to_f32()).collect()
}
