//! How sure an answer is.

/// How sure a finding is; surer ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// Plausible, not confirmed.
    Guess,
    /// Several signs agree.
    Strong,
    /// The facts leave no other reading.
    Proven,
}

impl Confidence {
    /// The name in documents and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Confidence::Guess => "guess",
            Confidence::Strong => "strong",
            Confidence::Proven => "proven",
        }
    }
}
