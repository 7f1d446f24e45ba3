use super::*;

fn short(name: &str) -> Option<String> {
    undecorate(name, Style::NameOnly)
}

fn full(name: &str) -> Option<String> {
    undecorate(name, Style::Full)
}

#[test]
fn names_in_stacks() {
    for (decorated, want) in [
        ("?BlockFn@CCliModalLoop@@AAGJPAPAXKPAK@Z", "CCliModalLoop::BlockFn"),
        ("?f@@YAXXZ", "f"),
        ("??0Foo@ns@@QAE@XZ", "ns::Foo::Foo"),
        ("??1Foo@ns@@UAE@XZ", "ns::Foo::~Foo"),
        ("??2@YAPAXI@Z", "operator new"),
        ("??_V@YAXPAX@Z", "operator delete[]"),
        ("??_7Foo@@6B@", "Foo::`vftable'"),
        ("??_GFoo@@UAEPAXI@Z", "Foo::`scalar deleting destructor'"),
        ("??BFoo@@QBEHXZ", "Foo::operator int"),
        ("??BFoo@@QBEPBDXZ", "Foo::operator char const *"),
        ("?x@@3HA", "x"),
        ("?f@?A0x12345678@@YAXXZ", "`anonymous namespace'::f"),
        (
            "?push_back@?$vector@HV?$allocator@H@std@@@std@@QAEXABH@Z",
            "std::vector<int,std::allocator<int> >::push_back",
        ),
        (
            "??0?$vector@HV?$allocator@H@std@@@std@@QAE@XZ",
            "std::vector<int,std::allocator<int> >::vector<int,std::allocator<int> >",
        ),
        ("?g@?1??f@@YAXXZ@4HA", "`f'::`2'::g"),
        ("??__Ex@@YAXXZ", "`dynamic initializer for 'x''"),
        ("??__E?x@Foo@@0HA@@YAXXZ", "`dynamic initializer for 'Foo::x''"),
        ("??_R4Foo@@6B@", "Foo::`RTTI Complete Object Locator'"),
        ("??_R0?AVFoo@@@8", "Foo `RTTI Type Descriptor'"),
        ("??_C@_0BC@EOODALEL@Hello?5World@", "`string'"),
        ("??$f@H@@YAXH@Z", "f<int>"),
        ("??$f@$0A@@@YAXXZ", "f<0>"),
        ("?Release@Foo@@W3AGKXZ", "[thunk]:Foo::Release`adjustor{4}'"),
        ("??$?0N@?$Foo@H@@QEAA@N@Z", "Foo<int>::Foo<int><double>"),
        ("?f@A@simple@@$R477PPPPPPPM@7AEXXZ", "[thunk]:simple::A::f`vtordispex{8,8,-4,8}'"),
        ("??@0123456789abcdef0123456789abcdef@", "??@0123456789abcdef0123456789abcdef@"),
    ] {
        assert_eq!(short(decorated).as_deref(), Some(want), "{decorated}");
    }
}

#[test]
fn whole_declarations() {
    for (decorated, want) in [
        ("?f@@YAXXZ", "void __cdecl f(void)"),
        ("?f@@YAXH0@Z", ""),
        (
            "?BlockFn@CCliModalLoop@@AAGJPAPAXKPAK@Z",
            "private: long __stdcall CCliModalLoop::BlockFn(void * *,unsigned long,unsigned long *)",
        ),
        ("?f@@YA?A?<auto>@@XZ", "<auto> __cdecl f(void)"),
        ("?m@@3PERfoo@@DER1@", "char const foo::* m"),
        ("?f@@YAXPEBQEAD@Z", "void __cdecl f(char * const *)"),
        ("??1Foo@ns@@UAE@XZ", "public: virtual __thiscall ns::Foo::~Foo(void)"),
        ("?f@Foo@@QBEHPBDZZ", "public: int __thiscall Foo::f(char const *,...) const"),
        ("?f@@YAXP6AHH@Z@Z", "void __cdecl f(int (__cdecl*)(int))"),
        ("?f@@YAXPAY02H@Z", "void __cdecl f(int (*)[3])"),
        ("?f@@YAXP8Foo@@AEHH@Z@Z", "void __cdecl f(int (__thiscall Foo::*)(int))"),
        ("?x@@3PBDB", "char const * x"),
        ("?f@@YAXV?$vector@H@std@@0@Z", "void __cdecl f(class std::vector<int>,class std::vector<int>)"),
        ("??BFoo@@QBEHXZ", "public: __thiscall Foo::operator int(void) const"),
        (
            "?Release@Foo@@W3AGKXZ",
            "[thunk]:public: virtual unsigned long __stdcall Foo::Release`adjustor{4}'(void)",
        ),
        ("??_7Foo@@6BBar@@@", "const Foo::`vftable'{for `Bar'}"),
        ("?f@@YA?AVFoo@@XZ", "class Foo __cdecl f(void)"),
        ("?f@Foo@@QEAAX$$QEAV1@@Z", "public: void __cdecl Foo::f(class Foo &&)"),
    ] {
        assert_eq!(full(decorated).unwrap_or_default(), want, "{decorated}");
    }
}

#[test]
fn hostile_names_end_quickly() {
    let deep = format!("?x@@3{}HA", "PA".repeat(3000));
    assert_eq!(short(&deep), None);
    let templates = format!("?{}x{}", "$?".repeat(2000), "@".repeat(2000));
    assert_eq!(short(&templates), None);
    let nested = format!("?f@{}", "?1?".repeat(2000));
    assert_eq!(short(&nested), None);
    // Each type doubles the one before it: a tree of it would have 4^9 leaves.
    let mut doubling = "?f@@YAXP6AXHHHH@Z".to_owned();
    for i in 0..9 {
        doubling.push_str(&format!("P6AX{i}{i}{i}{i}{i}{i}{i}{i}@Z"));
    }
    doubling.push_str("@Z");
    assert_eq!(full(&doubling), None);
    assert_eq!(short(&"?".repeat(9000)), None);
    assert_eq!(short("?x@@3HAjunk"), None);
    assert_eq!(short("?f@@YAXY0PPPPPPPPPPPPPPPPPPPP@H@Z"), None);
    for bad in [
        "?",
        "??",
        "???",
        "?@",
        "?x",
        "?x@",
        "??_R0",
        "??_",
        "??__",
        "?f@@YA",
        "?9@@3HA",
        "??$f@$0",
        "?\u{e9}@@3HA\u{e9}",
    ] {
        let _ = (short(bad), full(bad));
    }
}

#[test]
fn damaged_names_never_panic() {
    let names = [
        "?push_back@?$vector@HV?$allocator@H@std@@@std@@QAEXABH@Z",
        "?g@?1??f@@YAXXZ@4HA",
        "??__E?x@Foo@@0HA@@YAXXZ",
        "??$f@$1?g@@YAXXZ$0?3$2A@B@@@YAXP8Foo@@AEHH@ZPAY02H$$QEAV1@@Z",
        "??_R1A@?0A@EA@Foo@@8",
    ];
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    for round in 0..20_000 {
        let mut bytes = names[round % names.len()].as_bytes().to_vec();
        for _ in 0..3 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let at = (seed >> 8) as usize % bytes.len();
            bytes[at] = b"?@$_019ABPQXYZVU6 "[(seed >> 40) as usize % 18];
        }
        let text = String::from_utf8_lossy(&bytes);
        let _ = (short(&text), full(&text));
    }
}
