//! What the state of an index comes down to: to be built anew or not, why, and by what.

use pages::lists::due::Due;

/// What is known of an index.
pub struct State {
    /// The index and its table, as a statement names them.
    pub index: String,
    pub table: String,
    /// The model that it was built from, which every build takes again.
    pub model: Option<String>,
    /// The model that its options name and that it was built without: the next build takes it.
    pub next_model: Option<String>,
    pub is_trained: bool,
    pub has_nothing_to_train: bool,
    /// Rows from which on it is trained.
    pub training_rows: u64,
    /// Why its lists should be built anew.
    pub due: Option<Due>,
}

/// Whether to build anew, and why and how, as sentences.
pub fn verdict(state: &State) -> (bool, String) {
    let index = &state.index;
    let reindex = format!("REINDEX INDEX CONCURRENTLY {index};");
    if let Some(model) = state.next_model.as_ref().filter(|_| !state.is_trained) {
        let what = format!(
            "Untrained: it was built without model \"{model}\", which its options name. Once there is such a model: {reindex}"
        );
        return (true, what);
    }
    if state.has_nothing_to_train {
        return (false, "Nothing is trained, so nothing can be out of date.".to_owned());
    }
    let Some(due) = &state.due else {
        let sound = match state.is_trained {
            true => "It fits its table.".to_owned(),
            false => format!(
                "Untrained and exact: it is trained by the INSERT that brings {} rows.",
                state.training_rows
            ),
        };
        return (false, sound);
    };
    let remedy = match &state.model {
        None => format!(
            "VACUUM {} builds its lists anew, and so does SELECT * FROM faiss.maintain('{}');",
            state.table,
            index.replace('\'', "''")
        ),
        Some(model) => format!(
            "REINDEX alone takes model \"{model}\" again, so train another with faiss.train, then ALTER INDEX {index} SET (model = …); {reindex}"
        ),
    };
    (true, format!("{due} {remedy}"))
}
