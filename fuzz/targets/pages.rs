//! Pages of an index of any kind: whatever they hold, everything that is asked of it ends in a result or an error.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pages::damage::{Dice, Fault, Opened, Victim, ask, victims};

/// Faults of one input at most: more would leave nothing of the index.
const FAULTS_MAX: usize = 8;

static VICTIMS: LazyLock<Vec<(Victim, Opened)>> = LazyLock::new(|| {
    let victims = victims().expect("the undamaged indexes are sound");
    let known = |victim: Victim| {
        let known = Opened::read(&victim.pages).expect("so is their metapage");
        (victim, known)
    };
    victims.into_iter().map(known).collect()
});

// Making the indexes takes a while, which no input is to blame for.
fuzz_target!(init: { LazyLock::force(&VICTIMS); }, |data: &[u8]| {
    let mut data = data;
    let (victim, known) = &VICTIMS[data.below(VICTIMS.len() as u32) as usize];
    let known = (data.below(2) == 0).then_some(known);
    let pages = victim.pages.fork();
    for _ in 0..FAULTS_MAX {
        if data.is_empty() {
            break;
        }
        let fault = Fault::ALL[data.below(Fault::ALL.len() as u32) as usize];
        fault.apply(&pages, &victim.earlier, &mut data);
    }
    ask(&pages, known);
});
