//! Finds source files along the path.

use crate::command::CommandError;
use crate::session::Session;
use dumpscope_core::base::text::escape;

/// Most parts of a source file's path that are looked for below a folder.
const MAX_PARTS: usize = 12;

/// Reads a file; says why it cannot be read.
pub(super) fn read(session: &Session, path: &str) -> Result<String, String> {
    let host = session.host.as_ref().ok_or("Files are not read here.")?;
    host.read_script(path).map_err(|e| format!("{}: {}", escape(path), e.text))
}

/// The file that the user names: as it stands, or below a folder of the path. Its path and text.
pub(super) fn named(session: &Session, name: &str) -> Result<(String, String), CommandError> {
    let first = read(session, name);
    if let Ok(text) = first {
        return Ok((name.to_owned(), text));
    }
    of_symbols(session, name)
        .map_err(|why| CommandError::noted(format!("The file {} was not found", escape(name)), why))
}

/// The file that symbols name, below a folder of the path. Only parts that are plain names count, so that it lies there.
pub(super) fn of_symbols(session: &Session, name: &str) -> Result<(String, String), String> {
    let path = &session.language.source_path;
    let folders: Vec<&str> =
        path.split(';').map(str::trim).filter(|f| !f.is_empty() && !f.contains('*')).collect();
    if folders.is_empty() {
        return Err("`.srcpath FOLDER` names a folder with the sources.".to_owned());
    }
    let parts = plain_parts(name);
    for folder in &folders {
        for from in 0..parts.len() {
            let tail = parts.get(from..).unwrap_or(&[]).join("/");
            let file = format!("{}/{tail}", folder.trim_end_matches(['/', '\\']));
            if std::path::Path::new(&file).is_file()
                && let Ok(text) = read(session, &file)
            {
                return Ok((file, text));
            }
        }
    }
    Err(format!("It is in no folder of the source path ({}).", escape(path)))
}

/// The last parts of a path that are names of files and folders and nothing else: a part that is none (a drive, `..`) cuts
/// off what stands before it.
fn plain_parts(path: &str) -> Vec<&str> {
    let plain = |p: &&str| {
        !p.is_empty()
            && *p != "."
            && *p != ".."
            && !p.chars().any(|c| c.is_control() || ":*?\"<>|".contains(c))
    };
    let mut parts: Vec<&str> = path.rsplit(['\\', '/']).take_while(plain).take(MAX_PARTS).collect();
    parts.reverse();
    parts
}

#[cfg(test)]
mod tests {
    use super::plain_parts;

    #[test]
    fn only_names_are_looked_for() {
        assert_eq!(plain_parts(r"D:\build\src\a.cpp"), ["build", "src", "a.cpp"]);
        assert_eq!(plain_parts("/src/../../etc/passwd"), ["etc", "passwd"]);
        assert_eq!(plain_parts(r"..\..\x"), ["x"]);
        assert!(plain_parts("a/..").is_empty());
        assert!(plain_parts("a.cpp:stream").is_empty());
    }
}
