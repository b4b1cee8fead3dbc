//! Whatever text, binary message or stored bytes a vector comes from: a value or a documented
//! error, and the session goes on. Seeded, so a failure repeats.

#[path = "types/bits.rs"]
mod bits;
#[path = "types/sparse.rs"]
mod sparse;

use std::error::Error;

use checks::Database;
use postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};
use postgres::{Client, SimpleQueryMessage};

const TYPES: [&str; 2] = ["vector", "halfvec"];

#[test]
fn any_text_is_a_value_or_a_documented_error() {
    let mut client = Database::new("types_text").connect();
    let mut random = Random(1);
    for type_name in TYPES {
        let mut values = 0;
        for _ in 0..3000 {
            let text = text(&mut random);
            let sql = format!("SELECT '{text}'::{type_name}");
            match client.simple_query(&sql) {
                Ok(rows) => {
                    values += 1;
                    let value = first(&rows);
                    let again = client.simple_query(&format!("SELECT '{value}'::{type_name}"));
                    assert_eq!(first(&again.unwrap()), value, "{text}");
                    reads_as_real(&mut client, type_name, &text);
                }
                Err(e) => expect(&e, &["22P02", "22000", "22003"], &text),
            }
        }
        assert!(values > 300, "only {values} texts were values");
    }
}

/// Each element is what the server's own type real reads (and halfvec rounds).
fn reads_as_real(client: &mut Client, type_name: &str, text: &str) {
    let inner = text.trim_matches([' ', '[', ']']);
    let sql = format!(
        "SELECT '{text}'::{type_name}::real[] = '{{{inner}}}'::real[]::{type_name}::real[]"
    );
    match client.simple_query(&sql) {
        Ok(rows) => assert_eq!(first(&rows), "t", "{type_name} {text}"),
        // real refuses what is too small for it, we read 0; and an array's text has its own syntax.
        Err(e) => expect(&e, &["22003", "22P02"], text),
    }
}

#[test]
fn any_message_is_a_value_or_a_documented_error() {
    let mut client = Database::new("types_binary").connect();
    let mut random = Random(2);
    for (type_name, size) in TYPES.into_iter().zip([4, 2]) {
        let send = client.prepare(&format!("SELECT {type_name}_send($1)")).unwrap();
        let mut values = 0;
        for _ in 0..3000 {
            let message = message(&mut random, size);
            match client.query_one(&send, &[&Raw(message.clone())]) {
                Ok(row) => {
                    values += 1;
                    assert_eq!(row.get::<_, Vec<u8>>(0), message);
                }
                Err(e) => {
                    expect(&e, &["08P01", "22P03", "22000", "54000"], &format!("{message:?}"))
                }
            }
        }
        assert!(values > 300, "only {values} messages were values");
    }
}

#[test]
fn any_stored_bytes_are_a_value_or_reported_as_damaged() {
    let mut client = Database::new("types_stored").connect();
    let mut random = Random(3);
    for (type_name, size) in TYPES.into_iter().zip([4, 2]) {
        let damage = format!(
            "CREATE CAST (bytea AS {type_name}) WITHOUT FUNCTION;
             CREATE TABLE {type_name}s (bytes bytea)"
        );
        client.batch_execute(&damage).unwrap();
        let insert = client.prepare(&format!("INSERT INTO {type_name}s VALUES ($1)")).unwrap();
        for _ in 0..500 {
            let mut bytes = message(&mut random, size);
            // In memory dims are in the byte order of the machine.
            if let [high, low, ..] = &mut bytes[..] {
                let dims = u16::from_be_bytes([*high, *low]).to_ne_bytes();
                (*high, *low) = (dims[0], dims[1]);
            }
            client.execute(&insert, &[&bytes]).unwrap();
        }
        let rows = client.query(&format!("SELECT bytes FROM {type_name}s"), &[]).unwrap();
        let call = format!(
            "SELECT vector_dims(v), l2_distance(v, v), {type_name}_cmp(v, v), v::text, {type_name}_send(v)
             FROM (SELECT bytes::{type_name} AS v FROM {type_name}s WHERE bytes = $1) s"
        );
        let call = client.prepare(&call).unwrap();
        let mut values = 0;
        for row in rows {
            let bytes: Vec<u8> = row.get(0);
            match client.query(&call, &[&bytes]) {
                Ok(_) => values += 1,
                Err(e) => expect(&e, &["XX001"], &format!("{bytes:?}")),
            }
        }
        assert!(values > 50, "only {values} were values");
    }
}

fn expect(error: &postgres::Error, allowed: &[&str], input: &str) {
    let code = error.code().map_or("no SQLSTATE", |code| code.code());
    assert!(allowed.contains(&code), "{input}: {}", checks::describe(error));
}

fn first(rows: &[SimpleQueryMessage]) -> String {
    let row = rows.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    row.unwrap_or("no row").to_owned()
}

/// Numbers in brackets, one in four with something wrong or odd put in.
fn text(random: &mut Random) -> String {
    let numbers: Vec<String> = (0..1 + random.below(5)).map(|_| number(random)).collect();
    let mut text = format!("[{}]", numbers.join(","));
    if random.below(4) == 0 {
        let odd = ["", "[", "]", ",", " ", "x", "e", "-", "nan", "inf", "0x1p3", "\t", "é", "."];
        let odd = odd[random.below(odd.len())];
        let mut at = random.below(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        text.insert_str(at, odd);
    }
    text
}

fn number(random: &mut Random) -> String {
    let sign = ["", "-", "+"][random.below(3)];
    let mut digits = random.below(100_000_000).to_string();
    if random.below(2) == 0 {
        digits.insert(random.below(digits.len() + 1), '.');
    }
    match random.below(3) {
        0 => format!("{sign}{digits}e{}", random.below(60) as i32 - 40),
        1 => format!("{sign}{digits}"),
        _ => format!("{sign}{}", random.below(1000)),
    }
}

/// A binary form, often a sound one.
fn message(random: &mut Random, size: usize) -> Vec<u8> {
    let dims = 1 + random.below(6);
    let mut bytes = vec![0, dims as u8, 0, 0];
    bytes.extend((0..dims * size).map(|_| random.below(256) as u8));
    match random.below(5) {
        0 => bytes.truncate(random.below(bytes.len())),
        1 => bytes.push(0),
        2 => {
            let at = random.below(4.min(bytes.len()));
            bytes[at] = random.below(256) as u8;
        }
        _ => {}
    }
    bytes
}

/// A parameter that goes over the wire as these bytes, whatever its type.
#[derive(Debug)]
struct Raw(Vec<u8>);

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n.max(1)
    }
}
