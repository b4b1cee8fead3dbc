//! Why options are refused: what the user reads. The SQLSTATE is 22023 always.

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong (lower case, no final period).
    pub message: String,
    /// The numbers behind the message, as a sentence.
    pub detail: Option<String>,
    /// What the user can do, as a sentence.
    pub hint: Option<String>,
}

impl Refusal {
    /// A refusal with its primary message.
    pub fn new(message: String) -> Self {
        Self { message, detail: None, hint: None }
    }

    /// With the numbers behind it.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// With what the user can do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
