//! Where commands begin and end in a line.

/// Length of the command at the start of `text`: up to the next `;` outside quotes and braces, or a line break
/// outside braces.
#[must_use]
pub fn command_end(text: &str) -> usize {
    let mut depth = 0usize;
    let mut quoted = false;
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => {
                escaped = false;
                continue;
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            // An open quote ends with its line.
            '\n' | '\r' if depth == 0 => return i,
            '\n' => quoted = false,
            '{' if !quoted => depth += 1,
            '}' if !quoted => depth = depth.saturating_sub(1),
            ';' if !quoted && depth == 0 => return i,
            _ => {}
        }
    }
    text.len()
}

/// Length of the line at the start of `text`.
#[must_use]
pub fn line_end(text: &str) -> usize {
    text.find(['\n', '\r']).unwrap_or(text.len())
}

/// The commands of a line without their thread prefixes, comments left out: what a line would run. For completion
/// and tests; the runner itself looks at each command before it cuts the next.
#[must_use]
pub fn commands_of(line: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';');
        if rest.is_empty() {
            return out;
        }
        let (mut start, mut end) = (0, command_end(rest));
        if let Some(prefix) = super::thread_prefix(rest.get(..end).unwrap_or(rest)) {
            let tail = rest.get(prefix.len..end).unwrap_or("");
            if tail.trim().is_empty() {
                out.push("~");
            } else {
                start = prefix.len + (tail.len() - tail.trim_start().len());
                let command = rest.get(start..).unwrap_or("");
                if command.get(..end.saturating_sub(start)).is_some_and(|c| c.trim_end() == "s") {
                    out.push("~");
                    rest = rest.get(end..).unwrap_or("");
                    continue;
                }
                if command.starts_with('e')
                    && !command.get(1..).is_some_and(|s| s.starts_with(char::is_alphanumeric))
                {
                    rest = command.get(1..).unwrap_or("");
                    continue;
                }
            }
        }
        if rest.starts_with('*') {
            end = line_end(rest);
        } else if let Some(len) = super::block_command_end(rest.get(start..).unwrap_or("")) {
            end = start + len;
        }
        if let Some(command) = rest.get(start..end).map(str::trim_end).filter(|c| !c.is_empty()) {
            out.push(command);
        }
        rest = rest.get(end..).unwrap_or("");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_split_outside_quotes_and_braces() {
        assert_eq!(commands_of("k; r"), ["k", "r"]);
        assert_eq!(commands_of(".echo \"a;b\"; k"), [".echo \"a;b\"", "k"]);
        assert_eq!(commands_of(".foreach (x {lm1m; k}) { .echo x; k }; r").len(), 2);
        assert_eq!(commands_of("k\nr"), ["k", "r"]);
        assert_eq!(commands_of("* a; b\nr"), ["* a; b", "r"]);
        assert_eq!(commands_of("  ; ;"), Vec::<&str>::new());
    }

    #[test]
    fn thread_prefixes_are_taken_off() {
        assert_eq!(commands_of("~*kb; r"), ["kb", "r"]);
        assert_eq!(commands_of("~*e k; r"), ["k", "r"]);
        assert_eq!(commands_of("~~[1a4] r eax"), ["r eax"]);
    }

    #[test]
    fn an_open_quote_or_brace_reaches_to_the_end() {
        assert_eq!(command_end(".echo \"a;b"), 10);
        assert_eq!(command_end("{a;b"), 4);
        assert_eq!(command_end(".echo \"a\\\";b\";c"), 13);
    }
}
