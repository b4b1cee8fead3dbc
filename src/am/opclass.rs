//! Operator classes: what support function 1 says about the indexed vectors.
//!
//! An operator class names its element type and metric through support function 1, `f(internal)
//! returns internal`, which answers with a pointer to a static [`Support`]. No code here or
//! elsewhere tests a type's OID, so an operator class over another extension's type of the same
//! layout only has to name one of these functions (or one of its own).

use ann::Metric;
use ann::kernels::sparse;
use pages::geometry::measures;
use pgrx::{PgSqlErrorCode, pg_sys};

use super::filter::kind::{self, Kind};
use super::report::Report;
use super::support_function::support_function;

/// Support function number of the descriptor, the only one an operator class needs.
pub const SUPPORT_PROC: u16 = 1;
/// How many support functions an operator class can have.
pub const N_SUPPORT_PROCS: u16 = 1;
/// Strategy number of the ordering operator, the only strategy of vectors.
pub const ORDER_STRATEGY: u16 = 1;
/// How many strategies there are: those of filter columns.
pub const N_STRATEGIES: u16 = kind::CONTAINS;

/// Type of the elements of an indexed vector, as stored in the column and in the index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ElementType {
    /// 32-bit floats: `vector`.
    F32,
    /// 16-bit floats: `halfvec`.
    F16,
    /// Eight bits to a byte: `bit`.
    Bit,
    /// 32-bit floats other than zero, each with its position: `sparsevec`.
    Sparse,
}

impl ElementType {
    /// The number stored in the metapage.
    pub const fn tag(self) -> u8 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Bit => 2,
            Self::Sparse => sparse::TAG,
        }
    }

    /// The element type with this number.
    pub const fn from_tag(tag: u8) -> Option<Self> {
        match tag {
            0 => Some(Self::F32),
            1 => Some(Self::F16),
            2 => Some(Self::Bit),
            sparse::TAG => Some(Self::Sparse),
            _ => None,
        }
    }
}

/// What an index's operator class says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpclassInfo {
    /// Element type of the column, which is the one stored.
    pub element: ElementType,
    /// Metric of the ordering operator.
    pub metric: Metric,
}

/// The descriptor behind support function 1; an interface to other extensions, so its layout is
/// fixed: magic, layout version, element tag (0 f32, 1 f16, 2 bits, 3 sparse), metric (0 L2, 1 inner
/// product, 2 cosine, 3 L1; of bits 4 Hamming, 5 Jaccard), rest zero.
#[repr(C)]
pub struct Support {
    magic: u32,
    version: u16,
    element: u8,
    metric: u8,
    reserved: [u64; 2],
}

const SUPPORT_MAGIC: u32 = 0x4641_4F50; // "FAOP"
const SUPPORT_VERSION: u16 = 1;

impl Support {
    const fn new(element: ElementType, metric: u8) -> Self {
        Self {
            magic: SUPPORT_MAGIC,
            version: SUPPORT_VERSION,
            element: element.tag(),
            metric,
            reserved: [0; 2],
        }
    }

    fn info(&self) -> Option<OpclassInfo> {
        if self.magic != SUPPORT_MAGIC || self.version != SUPPORT_VERSION {
            return None;
        }
        let (element, metric) =
            (ElementType::from_tag(self.element)?, Metric::from_u8(self.metric)?);
        measures(metric, self.element).then_some(OpclassInfo { element, metric })
    }
}

/// What a column of an index is for, as its operator class says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Described {
    /// The vector.
    Vector(OpclassInfo),
    /// Conditions of queries.
    Attribute(Kind),
}

/// How many columns an open index has.
pub fn n_columns(index: pg_sys::Relation) -> usize {
    // SAFETY: an open index has its pg_index row at hand.
    usize::try_from(unsafe { (*(*index).rd_index).indnkeyatts }).unwrap_or(0)
}

/// What the operator class of a column of `index`, open and one of ours, says; columns count from 0. Raises 42P17
/// if its support function answers with something that is not a descriptor of this version.
pub fn described(index: pg_sys::Relation, column: usize) -> Described {
    let number = pg_sys::AttrNumber::try_from(column + 1).unwrap_or(1);
    // SAFETY: the caller's relation is open; the function info lives in its relcache entry. amvalidate and the relcache agree
    // that this function takes one `internal`; ours ignore the argument.
    let answer = unsafe {
        let function = pg_sys::index_getprocinfo(index, number, SUPPORT_PROC);
        pg_sys::FunctionCall1Coll(function, pg_sys::InvalidOid, pg_sys::Datum::from(0usize))
    };
    // SAFETY: it is the answer of a support function.
    unsafe { described_by(answer) }.unwrap_or_else(|| not_a_descriptor())
}

/// The column of an open index that is the vector, counted from 0, with what its operator class says. Raises 42P17 if there
/// is none, which a build refuses.
pub fn vector_column(index: pg_sys::Relation) -> (usize, OpclassInfo) {
    let vector = (0..n_columns(index)).find_map(|column| match described(index, column) {
        Described::Vector(info) => Some((column, info)),
        Described::Attribute(_) => None,
    });
    vector.unwrap_or_else(|| not_a_descriptor())
}

/// What the operator class of the vector of `index`, open and one of ours, says. Raises 42P17 as [`described`].
pub fn opclass_of(index: pg_sys::Relation) -> OpclassInfo {
    vector_column(index).1
}

/// The kind that an operator family of one of our methods gives to values of a type; None if it knows none.
pub fn kind_of(family: pg_sys::Oid, of: pg_sys::Oid) -> Option<Kind> {
    match answer_of(family, of)? {
        Described::Attribute(kind) => Some(kind),
        Described::Vector(_) => None,
    }
}

/// The element type of a column of type `of`: what the default operator class of access method `method` says. None if
/// there is no such class.
pub fn element_of(of: pg_sys::Oid, method: pg_sys::Oid) -> Option<ElementType> {
    // SAFETY: looks up catalogs; InvalidOid where there is nothing.
    let class = unsafe { pg_sys::GetDefaultOpClass(of, method) };
    if class == pg_sys::InvalidOid {
        return None;
    }
    match described_by_class(class).unwrap_or_else(|| not_a_descriptor()) {
        Described::Vector(info) => Some(info.element),
        Described::Attribute(_) => None,
    }
}

/// What an operator class of one of our methods says of vectors; None if its support function 1 gives no such descriptor.
pub fn said_by(class: pg_sys::Oid) -> Option<OpclassInfo> {
    match described_by_class(class)? {
        Described::Vector(info) => Some(info),
        Described::Attribute(_) => None,
    }
}

/// What an operator class of one of our methods says; None if its support function 1 gives no descriptor of this version.
pub fn described_by_class(class: pg_sys::Oid) -> Option<Described> {
    // SAFETY: looks up catalogs; InvalidOid where there is nothing.
    let (family, input) =
        unsafe { (pg_sys::get_opclass_family(class), pg_sys::get_opclass_input_type(class)) };
    answer_of(family, input)
}

/// What a family's support function 1 for a type says.
fn answer_of(family: pg_sys::Oid, of: pg_sys::Oid) -> Option<Described> {
    // SAFETY: looks up catalogs; InvalidOid where there is nothing.
    let function = unsafe { pg_sys::get_opfamily_proc(family, of, of, SUPPORT_PROC as i16) };
    if function == pg_sys::InvalidOid {
        return None;
    }
    let (collation, argument) = (pg_sys::InvalidOid, pg_sys::Datum::from(0usize));
    // SAFETY: a support function takes one `internal`, which ours ignore, as for an index; its answer.
    unsafe { described_by(pg_sys::OidFunctionCall1Coll(function, collation, argument)) }
}

/// # Safety
/// A support function must have answered this: with a pointer to a static descriptor, or null.
unsafe fn described_by(answer: pg_sys::Datum) -> Option<Described> {
    // SAFETY: the caller's promise; as_ref refuses null. Every descriptor begins with its magic number and has the same size.
    unsafe {
        let magic = *answer.cast_mut_ptr::<u32>().as_ref()?;
        if magic == kind::SUPPORT_MAGIC {
            return (*answer.cast_mut_ptr::<kind::Support>()).kind().map(Described::Attribute);
        }
        (*answer.cast_mut_ptr::<Support>()).info().map(Described::Vector)
    }
}

fn not_a_descriptor() -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_INVALID_OBJECT_DEFINITION,
        "support function 1 of the index's operator class does not describe vectors or a filter column",
    )
    .hint("Use one of the functions faiss.*_support, or one that returns their descriptor.")
    .error()
}

support_function!(
    faiss_vector_l2_support,
    pg_finfo_faiss_vector_l2_support,
    Support,
    Support::new(ElementType::F32, 0)
);
support_function!(
    faiss_vector_ip_support,
    pg_finfo_faiss_vector_ip_support,
    Support,
    Support::new(ElementType::F32, 1)
);
support_function!(
    faiss_vector_cosine_support,
    pg_finfo_faiss_vector_cosine_support,
    Support,
    Support::new(ElementType::F32, 2)
);
support_function!(
    faiss_halfvec_l2_support,
    pg_finfo_faiss_halfvec_l2_support,
    Support,
    Support::new(ElementType::F16, 0)
);
support_function!(
    faiss_halfvec_ip_support,
    pg_finfo_faiss_halfvec_ip_support,
    Support,
    Support::new(ElementType::F16, 1)
);
support_function!(
    faiss_halfvec_cosine_support,
    pg_finfo_faiss_halfvec_cosine_support,
    Support,
    Support::new(ElementType::F16, 2)
);
support_function!(
    faiss_vector_l1_support,
    pg_finfo_faiss_vector_l1_support,
    Support,
    Support::new(ElementType::F32, 3)
);
support_function!(
    faiss_halfvec_l1_support,
    pg_finfo_faiss_halfvec_l1_support,
    Support,
    Support::new(ElementType::F16, 3)
);
support_function!(
    faiss_bit_hamming_support,
    pg_finfo_faiss_bit_hamming_support,
    Support,
    Support::new(ElementType::Bit, 4)
);
support_function!(
    faiss_bit_jaccard_support,
    pg_finfo_faiss_bit_jaccard_support,
    Support,
    Support::new(ElementType::Bit, 5)
);
support_function!(
    faiss_sparsevec_l2_support,
    pg_finfo_faiss_sparsevec_l2_support,
    Support,
    Support::new(ElementType::Sparse, 0)
);
support_function!(
    faiss_sparsevec_ip_support,
    pg_finfo_faiss_sparsevec_ip_support,
    Support,
    Support::new(ElementType::Sparse, 1)
);
support_function!(
    faiss_sparsevec_cosine_support,
    pg_finfo_faiss_sparsevec_cosine_support,
    Support,
    Support::new(ElementType::Sparse, 2)
);
support_function!(
    faiss_sparsevec_l1_support,
    pg_finfo_faiss_sparsevec_l1_support,
    Support,
    Support::new(ElementType::Sparse, 3)
);
