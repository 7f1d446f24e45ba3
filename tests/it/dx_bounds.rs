//! Expressions of `dx` that would grow without end.

use crate::lang_session::{run, session};

#[test]
fn a_text_that_doubles_ends() {
    let mut s = session(true);
    run(&mut s, r#"dx @$t = "abcdefgh""#);
    assert!(run(&mut s, "dx (@$t + @$t).Length").0.contains(": 0x10"));
    for _ in 0..40 {
        run(&mut s, "dx @$t = @$t + @$t");
    }
    assert!(run(&mut s, "dx @$t + @$t").0.contains("The text is too long"));
    let (length, _) = run(&mut s, "dx @$t.Length");
    assert!(length.contains("0x100000"), "{length}");
}
