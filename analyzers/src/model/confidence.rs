//! How sure an answer is.

use super::words::words;

words! {
    /// How sure a statement is. Surer ones are greater.
    Confidence as "ConfidenceName" {
        /// The facts leave no other reading.
        Proven "proven" = 2,
        /// Several signs agree.
        Strong "strong" = 1,
        /// Plausible.
        Guess "guess" = 0,
    }
}
