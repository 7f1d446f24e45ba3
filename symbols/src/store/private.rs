//! Which addresses are inside: a public server must not send this program's requests to the services of the network
//! (or machine) that it runs in.

use std::net::{IpAddr, Ipv4Addr};
use url::{Host, Url};

/// True for addresses that mean something inside only: private, loopback, link-local and the like.
#[must_use]
pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            // 0/8 is this machine, 100.64/10 a provider's inside.
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_broadcast()
                || a == 0
                || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(ip) => {
            let [a, b, ..] = ip.segments();
            let [.., x, y] = ip.segments();
            let last = || Ipv4Addr::from(u32::from(x) << 16 | u32::from(y));
            // Unique local, link-local; IPv4 addresses in IPv6 ones (::/96, ::ffff:0:0/96, 64:ff9b::/96).
            ip.is_loopback()
                || ip.is_unspecified()
                || a & 0xfe00 == 0xfc00
                || a & 0xffc0 == 0xfe80
                || (ip.to_ipv4().is_some() || (a, b) == (0x64, 0xff9b)) && is_private(last().into())
        }
    }
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => match ip.to_ipv4() {
            Some(ip) => ip.is_link_local(),
            None => ip.segments().first().is_some_and(|s| s & 0xffc0 == 0xfe80),
        },
    }
}

/// The address that a URL itself tells. `localhost` is one, whoever answers for it.
fn told(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(ip) => Some(ip.into()),
        Host::Ipv6(ip) => Some(ip.into()),
        Host::Domain(name) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            (name == "localhost" || name.ends_with(".localhost")).then_some(Ipv4Addr::LOCALHOST.into())
        }
    }
}

/// True when the server at `url`, which answered from `peer`, is no inside one.
pub(super) fn is_public(url: &Url, peer: Option<IpAddr>) -> bool {
    !told(url).or(peer).is_some_and(is_private)
}

/// Whether a redirect from one URL (answered from `peer`) to another may be followed as far as the target's URL tells;
/// a name is looked at when it is resolved.
pub(super) fn check(from: &Url, peer: Option<IpAddr>, to: &Url) -> Result<(), String> {
    let Some(target) = told(to) else { return Ok(()) };
    // Link-local addresses are those of a cloud's secrets: for nobody but their neighbours.
    let near = told(from).or(peer).is_some_and(is_link_local);
    if is_link_local(target) && !near || is_private(target) && is_public(from, peer) {
        return Err(refusal(target));
    }
    Ok(())
}

/// What is said of such a redirect.
pub(super) fn refusal(target: IpAddr) -> String {
    format!("a redirect to {target}, an address inside of this network, is not followed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_and_outside() {
        for inside in [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a00:1",
        ] {
            assert!(is_private(inside.parse().unwrap()), "{inside}");
        }
        for outside in
            ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
        {
            assert!(!is_private(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn redirects_inwards() {
        let url = |u: &str| Url::parse(u).unwrap();
        let go = |from: &str, peer: Option<&str>, to: &str| {
            check(&url(from), peer.map(|p| p.parse().unwrap()), &url(to)).is_ok()
        };
        assert!(!go("https://s.example/", None, "https://10.0.0.1/"));
        assert!(!go("https://s.example/", Some("1.1.1.1"), "http://localhost/"));
        assert!(!go("https://s.example/", Some("1.1.1.1"), "http://[::ffff:127.0.0.1]/"));
        assert!(!go("https://s.example/", None, "https://0x7f.1/"));
        assert!(go("https://s.example/", Some("1.1.1.1"), "https://1.0.0.1/"));
        assert!(go("https://s.example/", Some("10.0.0.2"), "https://10.0.0.1/"));
        assert!(!go("https://s.example/", Some("10.0.0.2"), "http://169.254.169.254/"));
        assert!(go("http://127.0.0.1:1/", None, "http://127.0.0.1:2/"));
    }
}
