//! The order of the path's places, files under other names and codings, redirects, and what cannot be written.

use super::*;

/// A redirect to `target`.
fn to(target: &str) -> Answer {
    let mut a = status(302);
    a.head.location = Some(target.into());
    a
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn the_paths_order_is_kept_servers_included() {
    let rig = Rig::new();
    let place = format!("Foo.pdb/{ID}/Foo.pdb");
    rig.net.on(&url(&place), &[ok(b"good from the server")]);
    fs::create_dir_all(rig.dir.path().join("plain")).unwrap();
    fs::write(rig.dir.path().join("plain/Foo.pdb"), b"good on disk").unwrap();
    let got = rig.fetch("srv*DIR/a*https://s.example/sym;DIR/plain", false);
    assert_eq!(got.found.unwrap().file, b"good from the server");
    let got = rig.fetch("DIR/plain;srv*DIR/b*https://s.example/sym", false);
    assert_eq!(got.found.unwrap().file, b"good on disk");
    assert_eq!(rig.net.asked().len(), 1);
}

#[cfg(not(windows))]
#[test]
fn names_are_found_whatever_their_case() {
    let low = ID.to_ascii_lowercase();
    for place in [
        format!("FOO.PDB/{ID}/FOO.PDB"),
        format!("foo.PDB/{low}/Foo.pdb"),
        format!("FO/FOO.PDB/{low}/foo.PD_"),
        format!("fOO.pdb/{ID}/fOO.pdb.GZ"),
        "FOO.PDB".to_owned(),
        "SYMBOLS/DLL/foo.pdb".to_owned(),
        "Dll/FOO.PDB".to_owned(),
    ] {
        let rig = Rig::new();
        let path = rig.dir.path().join("s").join(&place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let packed = place.ends_with('_') || place.ends_with("GZ");
        fs::write(&path, if packed { gzip(b"good") } else { b"good".to_vec() }).unwrap();
        let got = rig.fetch("DIR/s", false);
        assert_eq!(rig.said(&got), [format!("DIR/s/{place}: found")]);
        // A file that comes later is found, too, though the folder was read before.
        let rig = Rig::new();
        fs::create_dir_all(rig.dir.path().join("s")).unwrap();
        assert!(rig.fetch("DIR/s", false).found.is_none());
        rig.client.forgive();
        let path = rig.dir.path().join("s").join(&place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, if packed { gzip(b"good") } else { b"good".to_vec() }).unwrap();
        assert!(rig.fetch("DIR/s", false).found.is_some());
    }
}

#[test]
fn packed_files_open_wherever_they_lie_and_whatever_they_are_called() {
    let place = format!("Foo.pdb/{ID}");
    for (dir, name) in [
        ("l", "Foo.pdb.gz"),
        ("l", "Foo.pdb"),
        ("l", "Foo.pd_"),
        (place.as_str(), "Foo.pdb"),
        (&place, "Foo.pdb.zst"),
    ] {
        let rig = Rig::new();
        let dir = rig.dir.path().join("s").join(if dir == "l" { "" } else { dir });
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(name), gzip(b"good and packed")).unwrap();
        let got = rig.fetch("DIR/s", false);
        assert_eq!(got.found.unwrap().file, b"good and packed", "{name}");
        assert!(rig.is_clean("default"));
        // Another time it is not unpacked again; a newer one is.
        let got = rig.fetch("DIR/s", false);
        assert_eq!(got.found.unwrap().path, rig.dir.path().join(format!("default/{place}/Foo.pdb")));
        std::thread::sleep(Duration::from_millis(20));
        fs::write(dir.join(name), gzip(b"good and newer")).unwrap();
        assert_eq!(rig.fetch("DIR/s", false).found.unwrap().file, b"good and newer");
    }
}

#[test]
fn pointers_of_servers() {
    let pointer = url(&format!("Foo.pdb/{ID}/file.ptr"));
    let rig = Rig::new();
    rig.net.on(&pointer, &[ok(b"PATH:https://s.example/other/a.pdb\r\n")]);
    rig.net.on("https://s.example/other/a.pdb", &[ok(b"good")]);
    assert!(rig.fetch("srv*DIR/a*https://s.example/sym", false).found.is_some());
    for (text, said) in [
        ("MSG: purged in 2024", "rejected: file.ptr says: purged in 2024"),
        ("PATH:/etc/passwd", "rejected: file.ptr leads out of the store or to nothing: /etc/passwd"),
        (
            "PATH:https://u:s3cr3t@e.example/x",
            "rejected: file.ptr leads out of the store or to nothing: https://***@e.example/x",
        ),
    ] {
        let rig = Rig::new();
        rig.net.on(&pointer, &[ok(text.as_bytes())]);
        let got = rig.fetch("srv*DIR/a*https://s.example/sym", false);
        assert_eq!(rig.said(&got)[1], format!("https://s.example/sym: {said}"));
        assert!(!rig.net.asked().iter().any(|u| u.contains("e.example") || u.contains("passwd")));
    }
}

#[test]
fn nothing_secret_follows_a_redirect_to_another_origin() {
    let mut auth = Auth::default();
    auth.add_netrc("machine s.example login u password p\nmachine t.example login u password p\ndefault login d password e");
    let rig = Rig::with(Policy::default(), auth);
    let place = format!("Foo.pdb/{ID}/Foo.pdb");
    // Even when the path names that one, too; and back again.
    rig.net.on(&url(&place), &[to("https://t.example/x")]);
    rig.net.on("https://t.example/x", &[to("https://s.example:443/y")]);
    rig.net.on("https://s.example/y", &[ok(b"good")]);
    assert!(rig.fetch("srv*DIR/a*https://s.example/sym;srv*DIR/a*https://t.example/", false).found.is_some());
    let asked = rig.net.asked();
    let signed: Vec<bool> = asked.iter().map(|a| a.contains("+Authorization")).collect();
    assert_eq!(signed, [true, false, false], "{asked:?}");
    // Another port is another origin.
    rig.net.on(&url(&place), &[to("https://s.example:8443/x")]);
    let got = rig.fetch("srv*DIR/b*https://s.example/sym", false);
    assert!(got.found.is_none());
    assert!(rig.net.asked().iter().all(|a| !a.contains("8443") || !a.contains('+')));
}

#[test]
fn redirects_to_the_inside_are_refused_unless_they_are_meant() {
    let place = format!("Foo.pdb/{ID}/Foo.pdb");
    let ask = |policy, path: &str, target: &str| {
        let rig = Rig::with(policy, Auth::default());
        rig.net.on(&url(&place), &[to(target)]);
        rig.net.on(target, &[ok(b"good")]);
        let got = rig.fetch(path, false);
        (got.found.is_some(), rig.said(&got)[1].clone())
    };
    let path = "srv*DIR/a*https://s.example/sym";
    for target in
        ["https://10.0.0.7/x", "https://169.254.169.254/latest", "https://localhost/x", "https://[fd00::1]/x"]
    {
        let (found, said) = ask(Policy::default(), path, target);
        assert!(!found && said.contains("refused: a redirect to ") && said.contains("inside"), "{said}");
        let allowed = Policy { private_redirects: true, ..Policy::default() };
        assert!(ask(allowed, path, target).0);
        let named = format!("{path};srv*DIR/a*{target}");
        assert!(ask(Policy::default(), &named, target).0);
    }
    assert!(ask(Policy::default(), path, "https://93.184.216.34/x").0);
}

#[test]
fn what_cannot_be_written_is_said_and_the_next_store_is_taken() {
    let rig = Rig::new();
    let place = format!("Foo.pdb/{ID}/Foo.pdb");
    rig.net.on(&url(&place), &[ok(b"good")]);
    // A file in the folder's place: nobody can write there, not even root.
    fs::write(rig.dir.path().join("bad"), b"").unwrap();
    let got = rig.fetch("srv*DIR/bad*https://s.example/sym", false);
    let said = rig.said(&got);
    assert!(
        said[1].starts_with("https://s.example/sym: failed: the cache DIR/bad cannot be written: "),
        "{said:?}"
    );
    assert!(matches!(got.attempts[1].outcome, Outcome::Unwritable(_)));
    let got = rig.fetch("srv*DIR/a*DIR/bad*https://s.example/sym", false);
    assert_eq!(got.found.unwrap().path, rig.dir.path().join("a").join(&place));
    // A folder where the file should be.
    fs::create_dir_all(rig.dir.path().join("c").join(&place).join("x")).unwrap();
    let got = rig.fetch("srv*DIR/c*https://s.example/sym", false);
    assert!(matches!(got.attempts[1].outcome, Outcome::Unwritable(_)), "{:?}", rig.said(&got));
    assert!(rig.is_clean("c"));
}

#[test]
fn who_asks_can_stop_it() {
    let rig = Rig::new();
    let place = format!("Foo.pdb/{ID}/Foo.pdb");
    rig.net.on(&url(&place), &[status(503)]);
    let got = rig.fetch_until("srv*DIR/a*https://s.example/sym;srv*https://t.example/", false, &|| true);
    assert!(got.found.is_none());
    // Nothing of it is remembered.
    rig.net.on(&url(&place), &[ok(b"good")]);
    assert!(rig.fetch("srv*DIR/a*https://s.example/sym", false).found.is_some());
}

#[test]
fn permanent_errors_are_not_tried_again() {
    let place = format!("Foo.pdb/{ID}/Foo.pdb");
    let tls = || Answer { breaks: Some(TransportError::Tls("unknown issuer".into())), ..Answer::default() };
    let odd = || Answer { breaks: Some(TransportError::Protocol("not HTTP".into())), ..Answer::default() };
    for (answer, said) in [
        (status(501), "failed: HTTP 501"),
        (status(400), "refused: HTTP 400"),
        (status(401), "refused: HTTP 401"),
        (tls(), "failed: TLS: unknown issuer"),
        (odd(), "failed: no proper HTTP answer: not HTTP"),
    ] {
        let rig = Rig::new();
        rig.net.on(&url(&place), &[answer]);
        let got = rig.fetch("srv*DIR/a*https://s.example/sym", false);
        assert_eq!(rig.said(&got)[1], format!("https://s.example/sym: {said}"));
        let same = rig.net.asked().iter().filter(|u| u.ends_with(&place)).count();
        assert_eq!(same, 1, "{said}");
        assert!(rig.clock.0.lock().unwrap().1.is_empty());
    }
}

#[test]
fn codings_that_nobody_asked_for() {
    let place = format!("Foo.pdb/{ID}/Foo.pdb");
    let coded = |coding: &str, body: &[u8]| {
        let mut answer = ok(body);
        answer.head.encoding = Some(coding.into());
        let rig = Rig::new();
        rig.net.on(&url(&place), &[answer]);
        let got = rig.fetch("srv*DIR/a*https://s.example/sym", false);
        (rig.said(&got)[1].clone(), got.found.map(|f| f.file))
    };
    assert_eq!(coded("gzip", &gzip(b"good")).1.unwrap(), b"good");
    // It says so and does not do it.
    assert_eq!(coded("gzip", b"good").1.unwrap(), b"good");
    // Packed, and not said.
    assert_eq!(coded("", &gzip(b"good")).1.unwrap(), b"good");
    assert!(
        coded("br", b"xx")
            .0
            .ends_with("rejected: the server sends it in the coding \"br\", which was not asked for")
    );
}
