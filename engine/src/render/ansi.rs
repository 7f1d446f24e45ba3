//! Roles to colours.

use crate::doc::Role;

/// The SGR parameters for a role, empty for ordinary text. Only the 16 colours that every terminal has, and none
/// that is unreadable on a light or a dark background.
#[must_use]
pub fn sgr(role: Role) -> &'static str {
    match role {
        Role::Address | Role::Bytes | Role::Dim => "2",
        Role::Symbol => "36",
        Role::Module => "34",
        Role::Register | Role::Label => "33",
        Role::Text => "32",
        Role::Mnemonic => "1",
        Role::Source => "35",
        Role::Type => "34",
        Role::Heading => "1;4",
        Role::Thread | Role::Handle => "1",
        Role::Warning => "33;1",
        Role::Error => "31;1",
        Role::Note => "36;2",
        Role::Prompt => "1;32",
        Role::Good => "32;1",
        Role::Plain | Role::Value => "",
    }
}
