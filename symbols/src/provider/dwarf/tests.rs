use super::*;
use crate::file::FileBytes;

fn image(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/images").join(name);
    std::fs::read(path).unwrap()
}

fn dwarf(name: &str) -> Dwarf {
    Dwarf::new(&ImageFile::from_bytes(FileBytes::from(image(name)), name).unwrap()).unwrap()
}

#[test]
fn names_lines_and_inlined_calls() {
    // Addresses: `objdump -d` of the files; lines: sample.cpp.
    for (file, total, inside) in [("dwarf-x64.dll", 0x1000, 0x100f), ("dwarf-x86.dll", 0x1000, 0x1013)] {
        let d = dwarf(file);
        let f = d.lookup(Rva(inside)).unwrap();
        assert_eq!((f.name.as_str(), f.rva, f.kind), ("shop::Cart::total", Rva(total), SymbolKind::Function));
        assert_eq!(f.decorated.as_deref(), Some("_ZNK4shop4Cart5totalEi"));
        assert_eq!(d.by_name("shop::Cart::total", false).as_slice(), std::slice::from_ref(&f));
        assert_eq!(d.by_name("HIDDEN", true).len(), 1);
        let sites = d.inlines(Rva(inside));
        let shown: Vec<_> =
            sites.iter().map(|s| (s.name.as_str(), s.line.as_ref().map(|l| l.line))).collect();
        assert_eq!(shown, [("shop::twice", Some(13)), ("shop::four_times", Some(17))], "{file}");
        let line = d.line(Rva(inside)).unwrap();
        assert_eq!((line.file.as_str(), line.line), ("/src/sample.cpp", 21));
        assert!(sites[0].start >= f.rva && sites[0].start.0 <= inside);
        assert_eq!(d.next_after(Rva(total)).unwrap().name, "checkout");
        assert_eq!(d.lookup(Rva(0x2000)), None);
        assert_eq!(d.line(Rva(0x2000)), None);
    }
}

#[test]
fn every_function_of_the_source_is_listed() {
    let mut names = Vec::new();
    dwarf("dwarf-x86.dll").each(&mut |s| {
        names.push(s.name.clone());
        true
    });
    names.sort();
    assert_eq!(names, ["DllMainCRTStartup", "both", "checkout", "hidden", "shop::Cart::total"]);
}

#[test]
fn damaged_sections_never_panic() {
    for file in ["dwarf-x64.dll", "dwarf-x86.dll"] {
        let good = image(file);
        let mut seed = 0x51ed_270b_0a3f_9c11u64;
        for _ in 0..600 {
            let mut bytes = good.clone();
            for _ in 0..6 {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                // The debug sections.
                let at = 0xe00 + (seed >> 8) as usize % (bytes.len() - 0xe00);
                bytes[at] = (seed >> 40) as u8;
            }
            let Ok(image) = ImageFile::from_bytes(FileBytes::from(bytes), "x") else { continue };
            let Some(d) = Dwarf::new(&image) else { continue };
            for rva in (0x1000..0x10c0).step_by(7) {
                let _ = (d.lookup(Rva(rva)), d.line(Rva(rva)), d.inlines(Rva(rva)));
            }
            let _ = (d.next_after(Rva(0)), d.by_name("both", true));
        }
    }
}
