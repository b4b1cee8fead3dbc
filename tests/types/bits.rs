//! Bit strings whose stored bytes contradict themselves.

use checks::Database;

use super::{Random, expect};

#[test]
fn any_stored_bytes_are_a_string_or_reported_as_damaged() {
    let mut client = Database::new("types_bits_stored").connect();
    let mut random = Random(7);
    let damage =
        "CREATE CAST (bytea AS varbit) WITHOUT FUNCTION; CREATE TABLE strings (bytes bytea)";
    client.batch_execute(damage).unwrap();
    let insert = client.prepare("INSERT INTO strings VALUES ($1)").unwrap();
    for _ in 0..300 {
        let bits = random.below(70) as i32 - 3;
        let mut bytes = bits.to_ne_bytes().to_vec();
        let rest =
            usize::try_from(bits).unwrap_or(0).div_ceil(8) + random.below(3).saturating_sub(1);
        bytes.extend((0..rest).map(|_| random.below(256) as u8));
        if random.below(5) == 0 {
            bytes.truncate(random.below(bytes.len()));
        }
        client.execute(&insert, &[&bytes]).unwrap();
    }
    let call = "SELECT hamming_distance(v, v), jaccard_distance(v, v) FROM (SELECT bytes::varbit AS v FROM strings WHERE bytes = $1) s";
    let call = client.prepare(call).unwrap();
    let mut values = 0;
    for row in client.query("SELECT bytes FROM strings", &[]).unwrap() {
        let bytes: Vec<u8> = row.get(0);
        match client.query(&call, &[&bytes]) {
            Ok(_) => values += 1,
            Err(e) => expect(&e, &["XX001"], &format!("{bytes:?}")),
        }
    }
    assert!((100..290).contains(&values), "{values} were values");
}
