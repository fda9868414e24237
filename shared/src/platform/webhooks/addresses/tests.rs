use proptest::prelude::*;

use super::*;

fn is_open(text: &str) -> bool {
    is_public(text.parse().unwrap())
}

#[test]
fn nobody_s_own_network_is_open() {
    for closed in [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.100.100.200",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "169.254.170.2",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.31.196.1",
        "192.52.193.1",
        "192.88.99.1",
        "192.168.1.1",
        "192.175.48.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        // IPv6: unspecified, loopback, discard, link-local, site-local, unique local (and AWS's metadata), multicast.
        "::",
        "::1",
        "100::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "fc00::1",
        "fd00:ec2::254",
        "fdff::1",
        "ff02::1",
        // Teredo, ORCHID, benchmarks, documentation, AS112, segment routing, never allocated.
        "2001::1",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:db8::1",
        "2620:4f:8000::1",
        "3fff::1",
        "5f00::1",
        "4000::1",
        // An IPv4 address in IPv6: compatible, mapped, NAT64 of both kinds, 6to4.
        "::10.0.0.1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:8.8.8.8",
        "64:ff9b::10.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::8.8.8.8",
        "64:ff9b::1:808:808",
        "2002:7f00:1::1",
        "2002:a9fe:a9fe::1",
        "2002:c0a8:101::",
    ] {
        assert!(!is_open(closed), "{closed}");
    }
}

#[test]
fn what_everybody_can_reach_is_open() {
    for open in [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.0.3.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2001:4860:4860::8888",
        "2a00::1",
        "2001:200::1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
    ] {
        assert!(is_open(open), "{open}");
    }
}

proptest! {
    #[test]
    fn an_address_within_another_is_as_open_as_that(bits: u32) {
        let inner = Ipv4Addr::from_bits(bits);
        let is_open = is_public(inner.into());
        let [a, b, c, d] = inner.octets();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        prop_assert_eq!(is_public(inner.to_ipv6_mapped().into()), is_open);
        prop_assert_eq!(is_public(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low).into()), is_open);
        prop_assert_eq!(is_public(Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1).into()), is_open);
        prop_assert!(!is_public(inner.to_ipv6_compatible().into()));
    }

    #[test]
    fn what_the_standard_library_calls_private_is_closed(bits: u32) {
        let address = Ipv4Addr::from_bits(bits);
        let closed = address.is_private() || address.is_loopback() || address.is_link_local() || address.is_multicast()
            || address.is_broadcast() || address.is_documentation() || address.is_unspecified();
        prop_assert!(!(closed && is_public(address.into())));
    }

    #[test]
    fn every_address_of_a_closed_network_is_closed(host: u32, network in 0..CLOSED_V4.len()) {
        let (base, prefix) = CLOSED_V4[network];
        let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
        let address = Ipv4Addr::from_bits(base.to_bits() & mask | host & !mask);
        prop_assert!(!is_public(address.into()), "{address}");
    }

    #[test]
    fn of_ipv6_nothing_beyond_global_unicast_is_open(bits: u128) {
        let address = Ipv6Addr::from_bits(bits);
        let is_unicast = address.segments()[0] & 0xe000 == 0x2000;
        let carries = address.to_ipv4_mapped().is_some() || address.segments()[..2] == [0x64, 0xff9b];
        prop_assert!(!is_public(address.into()) || is_unicast || carries);
        let local = address.is_loopback() || address.is_unspecified() || address.is_multicast()
            || address.is_unique_local() || address.is_unicast_link_local();
        prop_assert!(!(local && is_public(address.into())));
    }
}
