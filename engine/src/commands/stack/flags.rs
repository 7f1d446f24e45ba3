//! The `k` family's flags and arguments.

/// How parameters are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Params {
    /// Not at all.
    #[default]
    None,
    /// `kp`: in one line.
    Inline,
    /// `kP`: one a line.
    PerLine,
}

/// What the letters behind `k` ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct KFlags {
    /// `b` or `v`: stack words.
    pub(crate) args: bool,
    /// The words are recovered arguments (64-bit stacks, unless `.args raw`).
    pub(crate) recovered: bool,
    /// `v`: FPO data.
    pub(crate) verbose: bool,
    /// `p` or `P`.
    pub(crate) params: Params,
    /// `c`: names only.
    pub(crate) clean: bool,
    /// `n`: frame numbers.
    pub(crate) numbers: bool,
    /// `f`: distance between frames.
    pub(crate) distance: bool,
    /// `L`: no source positions.
    pub(crate) no_lines: bool,
    /// `d`: raw stack words instead of frames.
    pub(crate) raw: bool,
    /// The modern layout without WinDbg's window: numbers only when they are asked for.
    pub(crate) bare: bool,
    /// `kb` of today's engine: no column for the frame's base.
    pub(crate) no_base: bool,
}

impl KFlags {
    /// From the letters behind `k` (`vnL`). `Err` holds the offset of the first letter that is none.
    pub(crate) fn parse(letters: &str) -> Result<KFlags, usize> {
        let mut flags = KFlags::default();
        for (at, c) in letters.char_indices() {
            match c {
                'b' => flags.args = true,
                'v' => (flags.args, flags.verbose) = (true, true),
                'p' => flags.params = Params::Inline,
                'P' => flags.params = Params::PerLine,
                'c' => flags.clean = true,
                'n' => flags.numbers = true,
                'f' => flags.distance = true,
                'L' => flags.no_lines = true,
                // Links: every sink gets them.
                'M' => {}
                'd' => flags.raw = true,
                _ => return Err(at),
            }
        }
        Ok(flags)
    }
}

impl KFlags {
    /// As today's engine reads what stands behind `k`: at most one letter for the form, then `n`, then the others, with
    /// blanks anywhere between them. Gives the flags and the bytes that they take.
    pub(crate) fn engine(text: &str) -> (KFlags, usize) {
        let mut flags = KFlags::default();
        let mut len = 0;
        let mut first = true;
        let mut numbered = true;
        while let Some(c) = text.get(len..).and_then(|t| t.chars().next()) {
            match c {
                ' ' | '\t' => {
                    len += 1;
                    continue;
                }
                'b' if first && len == 0 => (flags.args, flags.no_base) = (true, true),
                'v' if first && len == 0 => (flags.args, flags.verbose) = (true, true),
                'p' if first && len == 0 => flags.params = Params::Inline,
                'P' if first && len == 0 => flags.params = Params::PerLine,
                'c' if first && len == 0 => flags.clean = true,
                'd' | 'D' if first && len == 0 => flags.raw = true,
                'n' if numbered => flags.numbers = true,
                'f' => (flags.distance, numbered) = (true, false),
                'L' => flags.no_lines = true,
                'M' => (flags.numbers, flags.no_lines) = (true, true),
                _ => break,
            }
            first = false;
            len += c.len_utf8();
        }
        (flags, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glued() {
        let f = KFlags::parse("vnL").unwrap();
        assert!(f.args && f.verbose && f.numbers && f.no_lines && !f.clean);
        assert_eq!(KFlags::parse("bx"), Err(1));
        assert_eq!(KFlags::parse("P").unwrap().params, Params::PerLine);
    }
}
