//! Texts of sparse vectors, with a reader of numbers that Rust has.

use super::super::DIMS_MAX;
use super::*;

/// Of what strtof takes, plain decimals and words.
fn strtof(text: &[u8]) -> (f32, usize) {
    assert_eq!(text.last(), Some(&0));
    let words = [("inf", f32::INFINITY), ("-inf", -f32::INFINITY), ("nan", f32::NAN)];
    for (word, value) in words {
        if text.starts_with(word.as_bytes()) {
            return (value, word.len());
        }
    }
    let part = |byte: &&u8| byte.is_ascii_digit() || b"+-.e".contains(byte);
    let longest = text.iter().take_while(part).count();
    let ends = (1..=longest).rev();
    let number = |end: usize| std::str::from_utf8(&text[..end]).ok()?.parse().ok();
    ends.into_iter().find_map(|end| Some((number(end)?, end))).unwrap_or((0.0, 0))
}

fn of(text: &str) -> Result<Sparse, ValueError> {
    let text = format!("{text}\0");
    read(CStr::from_bytes_with_nul(text.as_bytes()).unwrap(), -1, strtof)
}

fn value(dims: usize, elements: &[(i32, f32)]) -> Result<Sparse, ValueError> {
    let (indices, values) = elements.iter().copied().unzip();
    Ok(Sparse { dims, indices, values })
}

fn is_bad_syntax(result: &Result<Sparse, ValueError>) -> bool {
    matches!(result, Err(ValueError::Syntax { .. }))
}

#[test]
fn elements_in_any_order() {
    assert_eq!(of("{1:1.5,3:-2}/5"), value(5, &[(0, 1.5), (2, -2.0)]));
    assert_eq!(of("{3:-2,1:1.5}/5"), of("{1:1.5,3:-2}/5"));
    assert_eq!(of(" { +1 :\t1.5 , 3 : -2 } / +5\n"), of("{1:1.5,3:-2}/5"));
    assert_eq!(of("{}/1"), value(1, &[]));
    assert_eq!(of("{ }/1000000000"), value(DIMS_MAX, &[]));
}

#[test]
fn zeros_are_not_stored_wherever_they_are() {
    assert_eq!(of("{1:0,2:1,3:-0.0e5}/3"), value(3, &[(1, 1.0)]));
    assert_eq!(of("{-7:0,99999999999999999999:0}/3"), value(3, &[]));
}

#[test]
fn bad_syntax() {
    let wrong = [
        "",
        "1",
        "{",
        "{ ",
        "{:",
        "{,",
        "{}",
        "{}/",
        "{}/1a",
        "{}/1 2",
        "{}/-",
        "{:}/1",
        "{,}/1",
        "{1,}/1",
        "{:1}/1",
        "{1:}/1",
        "{1a:1}/1",
        "{1:1a}/1",
        "{1:1,}/1",
        "{1:1 2:2}/2",
        "{1:1}}/1",
        "[1:1]/1",
        "{1::1}/1",
        "{1:1}//1",
        "{--1:1}/1",
        "{0x1:1}/1",
        "{1.0:1}/1",
    ];
    for text in wrong {
        assert!(is_bad_syntax(&of(text)), "{text}: {:?}", of(text));
    }
}

#[test]
fn numbers_out_of_range() {
    let out_of_range =
        |text: &str| Err(ValueError::OutOfRange { type_name: TYPE_NAME, text: text.to_owned() });
    assert_eq!(of("{1:1e39}/1"), out_of_range("1e39"));
    assert_eq!(of("{1:-1e-46}/1"), out_of_range("-1e-46"));
    assert_eq!(of("{1:inf}/1"), Err(ValueError::Infinite { type_name: TYPE_NAME }));
    assert_eq!(of("{1:nan}/1"), Err(ValueError::NotANumber { type_name: TYPE_NAME }));
}

#[test]
fn dimensions_and_positions_have_limits() {
    for dims in ["0", "-1", "-99999999999999999999"] {
        assert_eq!(of(&format!("{{}}/{dims}")), Err(ValueError::NoDims { type_name: TYPE_NAME }));
    }
    for dims in ["1000000001", "2147483648", "99999999999999999999"] {
        let most = DIMS_MAX;
        let refused = Err(ValueError::TooManyDims { type_name: TYPE_NAME, most });
        assert_eq!(of(&format!("{{}}/{dims}")), refused);
    }
    for index in ["0", "-1", "3", "-99999999999999999999", "99999999999999999999"] {
        let refused = Err(SparseError::IndexOutOfBounds.into());
        assert_eq!(of(&format!("{{{index}:1}}/2")), refused, "{index}");
    }
    assert_eq!(of("{1:1,2:1,1:1}/2"), Err(SparseError::Repeated.into()));
    let refused = Err(ValueError::DimsExpected { expected: 3, dims: 2 });
    assert_eq!(read(c"{7:1}/2", 3, strtof), refused);
}

#[test]
fn elements_are_counted_before_they_are_read() {
    let many = |n: usize| (1..=n).map(|i| format!("{i}:1")).collect::<Vec<_>>().join(",");
    let most = of(&format!("{{{}}}/16000", many(STORED_MAX)));
    assert_eq!(most.map(|value| value.values.len()), Ok(STORED_MAX));
    let refused = Err(SparseError::TooManyStored.into());
    assert_eq!(of(&format!("{{{}}}/16001", many(STORED_MAX + 1))), refused);
    assert_eq!(of(&",".repeat(STORED_MAX)), refused);
}

#[test]
fn texts_of_zero() {
    for zero in ["0", "-0", "+0.00", ".0", "0e99", "0x0p5", "-0X0.0", "0e"] {
        assert!(is_zero(zero.as_bytes()), "{zero}");
    }
    for other in ["1e-99", "0.0001", "-0x0.001p-999", "0x0a", "0xe", "0Xb"] {
        assert!(!is_zero(other.as_bytes()), "{other}");
    }
}
