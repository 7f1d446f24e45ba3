//! Schema and reading of [`Hex`]; writing is beside the type.

use crate::fmt::Hex;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error};
use std::borrow::Cow;

impl JsonSchema for Hex {
    fn schema_name() -> Cow<'static, str> {
        "Hex".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A number in hexadecimal: an address, a handle, a code, a displacement or a value.",
            "pattern": "^0x[0-9a-f]{1,16}$"
        })
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Hex, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.strip_prefix("0x")
            .filter(|digits| !digits.starts_with('+'))
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .map(Hex)
            .ok_or_else(|| D::Error::custom("expected a hex string such as \"0x7ff612340000\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_strings_come_back() {
        let back = |s: &str| serde_json::from_str::<Hex>(s);
        assert_eq!(back("\"0x7ff612340000\"").unwrap(), Hex(0x7ff6_1234_0000));
        assert_eq!(back("\"0xffffffffffffffff\"").unwrap(), Hex(u64::MAX));
        for bad in ["\"12\"", "\"0x\"", "\"0x+1\"", "12", "\"0x1ffffffffffffffff\""] {
            assert!(back(bad).is_err(), "{bad}");
        }
    }
}
