//! The same of `sparsevec`, whose forms have more that can contradict itself.

use checks::Database;
use postgres::SimpleQueryMessage;

use super::{Random, Raw, expect, first, number};

#[test]
fn any_text_is_a_value_or_a_documented_error() {
    let mut client = Database::new("types_sparse_text").connect();
    let mut random = Random(4);
    let mut values = 0;
    for _ in 0..3000 {
        let text = text(&mut random);
        match client
            .simple_query(&format!("SELECT '{text}'::sparsevec, '{text}'::sparsevec::vector"))
        {
            Ok(rows) => {
                values += 1;
                let value = first(&rows);
                let sql =
                    format!("SELECT '{value}'::sparsevec, '{}'::vector::sparsevec", second(&rows));
                let again = client.simple_query(&sql).unwrap();
                assert_eq!([first(&again), second(&again)], [value.clone(), value], "{text}");
            }
            Err(e) => expect(&e, &["22P02", "22000", "22003", "54000"], &text),
        }
    }
    assert!(values > 300, "only {values} texts were values");
}

#[test]
fn any_message_is_a_value_or_a_documented_error() {
    let mut client = Database::new("types_sparse_binary").connect();
    let mut random = Random(5);
    let send = client.prepare("SELECT sparsevec_send($1)").unwrap();
    let mut values = 0;
    for _ in 0..3000 {
        let message = message(&mut random, i32::to_be_bytes, f32::to_be_bytes);
        match client.query_one(&send, &[&Raw(message.clone())]) {
            Ok(row) => {
                values += 1;
                assert_eq!(row.get::<_, Vec<u8>>(0), message);
            }
            Err(e) => expect(&e, &["08P01", "22P03", "22000", "54000"], &format!("{message:?}")),
        }
    }
    assert!(values > 300, "only {values} messages were values");
}

#[test]
fn any_stored_bytes_are_a_value_or_reported_as_damaged() {
    let mut client = Database::new("types_sparse_stored").connect();
    let mut random = Random(6);
    let damage = "CREATE CAST (bytea AS sparsevec) WITHOUT FUNCTION;
        CREATE TABLE sparsevecs (bytes bytea)";
    client.batch_execute(damage).unwrap();
    let insert = client.prepare("INSERT INTO sparsevecs VALUES ($1)").unwrap();
    for _ in 0..500 {
        let message = message(&mut random, i32::to_ne_bytes, f32::to_ne_bytes);
        client.execute(&insert, &[&message]).unwrap();
    }
    let call = "SELECT l2_distance(v, v), cosine_distance(v, v), l1_distance(v, v), inner_product(v, v), l2_norm(v),
            l2_normalize(v), sparsevec_cmp(v, v), v::text, sparsevec_send(v), v::vector
        FROM (SELECT bytes::sparsevec AS v FROM sparsevecs WHERE bytes = $1) s";
    let call = client.prepare(call).unwrap();
    let mut values = 0;
    for row in client.query("SELECT bytes FROM sparsevecs", &[]).unwrap() {
        let bytes: Vec<u8> = row.get(0);
        match client.query(&call, &[&bytes]) {
            Ok(_) => values += 1,
            // A vector cannot have as many dimensions, or elements that are not finite; both may be stored here.
            Err(e) => expect(&e, &["XX001", "54000", "22000"], &format!("{bytes:?}")),
        }
    }
    assert!(values > 50, "only {values} were values");
}

fn second(rows: &[SimpleQueryMessage]) -> String {
    let row = rows.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(1),
        _ => None,
    });
    row.unwrap_or("no column").to_owned()
}

/// Positions and numbers in braces, one in four with something wrong or odd put in.
fn text(random: &mut Random) -> String {
    let count = random.below(5);
    let mut pair = |i| format!("{}:{}", 3 * i + 1 + random.below(3), number(random));
    let pairs: Vec<String> = (0..count).map(&mut pair).collect();
    let mut text = format!("{{{}}}/{}", pairs.join(","), 13 + random.below(9));
    if random.below(4) == 0 {
        let odd = [
            "",
            "{",
            "}",
            ",",
            ":",
            "/",
            " ",
            "-",
            "0",
            "nan",
            "inf",
            "0x1p3",
            "1:1",
            "é",
            "99999999999",
        ];
        let odd = odd[random.below(odd.len())];
        let mut at = random.below(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        text.insert_str(at, odd);
    }
    text
}

/// Words of a value, often of a sound one, in the byte order of the wire or of this machine.
fn message(random: &mut Random, integer: fn(i32) -> [u8; 4], float: fn(f32) -> [u8; 4]) -> Vec<u8> {
    let stored = random.below(5) as i32;
    let mut words = vec![integer(15), integer(stored), integer(0)];
    words.extend((0..stored).map(|i| integer(3 * i + random.below(3) as i32)));
    words.extend((0..stored).map(|_| float(random.below(1000) as f32 - 500.5)));
    if random.below(3) == 0 {
        let odd =
            [-1, 0, 1, 2, 3, 14, 15, 16, 16_001, 1_000_000_001, i32::MAX, i32::MIN, 0x7fc0_0000];
        let at = random.below(words.len());
        words[at] = integer(odd[random.below(odd.len())]);
    }
    let mut bytes = words.concat();
    match random.below(8) {
        0 => bytes.truncate(random.below(bytes.len())),
        1 => bytes.push(0),
        2 => {
            let at = random.below(bytes.len());
            bytes[at] = random.below(256) as u8;
        }
        _ => {}
    }
    bytes
}
