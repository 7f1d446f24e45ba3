//! Enums whose variants are words: one place for the variant, its meaning and its word in documents, on the command
//! line and in texts.

/// Makes the enum, its words for `serde` and the schema, `ALL` and `name()`.
///
/// `TITLE` is the type's name in the schema. A number behind a word orders the variants otherwise than they stand.
macro_rules! words {
    (
        $(#[$doc:meta])*
        $name:ident as $title:literal {
            $($(#[$vdoc:meta])* $variant:ident $word:literal $(= $order:literal)?),+ $(,)?
        }
    ) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        #[schemars(rename = $title)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $word)] $variant $(= $order)?),+
        }

        impl $name {
            /// All of them, as they are listed.
            pub const ALL: &[$name] = &[$($name::$variant),+];

            /// The word in documents and on the command line.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $word),+
                }
            }
        }
    };
}

pub(crate) use words;

#[cfg(test)]
mod tests {
    use crate::model::{Access, Confidence, FindingClass, FindingKind, Kind, OwnerState, Reason};

    fn check<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug + Copy>(
        all: &[T],
        name: impl Fn(T) -> &'static str,
    ) {
        for &v in all {
            // TOML has no bare words: the value stands behind a key.
            let text = toml::to_string(&std::collections::BTreeMap::from([("v", v)])).unwrap();
            assert_eq!(text.trim(), format!("v = \"{}\"", name(v)));
            let back: std::collections::BTreeMap<String, T> = toml::from_str(&text).unwrap();
            assert_eq!(back.get("v"), Some(&v));
        }
    }

    #[test]
    fn documents_write_and_read_the_word() {
        check(Access::ALL, Access::name);
        check(Confidence::ALL, Confidence::name);
        check(FindingClass::ALL, FindingClass::name);
        check(FindingKind::ALL, FindingKind::name);
        check(Kind::ALL, Kind::name);
        check(OwnerState::ALL, OwnerState::name);
        check(Reason::ALL, Reason::name);
    }
}
