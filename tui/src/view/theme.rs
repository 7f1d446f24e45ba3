//! Roles to styles.

use crate::config::Theme;
use dumpscope_engine::Role;
use ratatui::style::{Color, Modifier, Style};

/// The style of a role.
#[must_use]
pub fn style(theme: Theme, role: Role) -> Style {
    let plain = Style::new();
    let bold = plain.add_modifier(Modifier::BOLD);
    let (dark, light) = match role {
        Role::Plain | Role::Value => (plain, plain),
        Role::Address => (plain.fg(Color::Gray), plain.fg(Color::DarkGray)),
        Role::Bytes => (plain, plain),
        Role::Dim => (plain.fg(Color::DarkGray), plain.fg(Color::DarkGray)),
        Role::Symbol => (plain.fg(Color::Cyan), plain.fg(Color::Blue)),
        Role::Module | Role::Type => (plain.fg(Color::LightBlue), plain.fg(Color::Blue)),
        Role::Register | Role::Label => (plain.fg(Color::Yellow), plain.fg(Color::Rgb(0x80, 0x50, 0))),
        Role::Text => (plain.fg(Color::Green), plain.fg(Color::Rgb(0, 0x60, 0))),
        Role::Mnemonic => (bold, bold),
        Role::Source => (plain.fg(Color::Magenta), plain.fg(Color::Magenta)),
        Role::Heading => (bold, bold),
        Role::Thread | Role::Handle => (bold.fg(Color::White), bold.fg(Color::Black)),
        Role::Warning => (bold.fg(Color::Yellow), bold.fg(Color::Rgb(0x80, 0x50, 0))),
        Role::Error => (bold.fg(Color::LightRed), bold.fg(Color::Red)),
        Role::Note => (plain.fg(Color::Cyan), plain.fg(Color::Blue)),
        Role::Prompt => (bold.fg(Color::Green), bold.fg(Color::Rgb(0, 0x60, 0))),
        Role::Good => (plain.fg(Color::LightGreen), plain.fg(Color::Rgb(0, 0x60, 0))),
        _ => (plain, plain),
    };
    match theme {
        Theme::Dark => dark,
        Theme::Light => light,
        Theme::None => match role {
            Role::Heading | Role::Mnemonic | Role::Error | Role::Warning | Role::Prompt | Role::Thread => {
                bold
            }
            Role::Dim => plain.add_modifier(Modifier::DIM),
            _ => plain,
        },
    }
}

/// The line under the cursor of the pane that has the keys.
#[must_use]
pub fn cursor_line(theme: Theme) -> Style {
    match theme {
        Theme::Dark => Style::new().bg(Color::Rgb(0x26, 0x2b, 0x36)),
        Theme::Light => Style::new().bg(Color::Rgb(0xe4, 0xe8, 0xf0)),
        Theme::None => Style::new(),
    }
}

/// What was searched for.
#[must_use]
pub fn hit(theme: Theme) -> Style {
    match theme {
        Theme::None => Style::new().add_modifier(Modifier::UNDERLINED),
        _ => Style::new().fg(Color::Black).bg(Color::Yellow),
    }
}

/// The border of a pane.
#[must_use]
pub fn border(theme: Theme, focused: bool) -> Style {
    match (theme, focused) {
        (Theme::None, true) => Style::new().add_modifier(Modifier::BOLD),
        (Theme::None, false) => Style::new(),
        (Theme::Dark, true) => Style::new().fg(Color::LightCyan),
        (Theme::Light, true) => Style::new().fg(Color::Blue),
        (_, false) => Style::new().fg(Color::DarkGray),
    }
}

/// The title line.
#[must_use]
pub fn bar(theme: Theme) -> Style {
    match theme {
        Theme::None => Style::new().add_modifier(Modifier::REVERSED),
        Theme::Dark => Style::new().fg(Color::White).bg(Color::Rgb(0x1f, 0x3a, 0x5f)),
        Theme::Light => Style::new().fg(Color::Black).bg(Color::Rgb(0xc8, 0xd8, 0xf0)),
    }
}
