//! Addresses of extra hosts, printed as Go's `net.IP` prints them.

use std::net::IpAddr;

/// The text of an address as it stands in an exec's extra hosts.
///
/// IPv4 is dotted, IPv6 in the short form of RFC 5952, and an IPv4 address mapped into IPv6 is printed as the IPv4
/// address it is (Rust's own `Display` keeps the `::ffff:`).
///
/// ```
/// use llb::value::host::address_text;
///
/// assert_eq!(address_text("2001:DB8:0:0:0:0:0:1".parse()?), "2001:db8::1");
/// assert_eq!(address_text("::ffff:1.2.3.4".parse()?), "1.2.3.4");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
pub fn address_text(address: IpAddr) -> String {
    address.to_canonical().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_print_as_in_go() {
        let cases = [
            ("10.0.0.1", "10.0.0.1"),
            ("::", "::"),
            ("::1", "::1"),
            ("::ffff:0:0", "0.0.0.0"),
            ("::102:304", "::102:304"),
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
            ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
            ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
            ("FE80::A", "fe80::a"),
        ];
        for (address, expected) in cases {
            assert_eq!(
                address_text(address.parse().unwrap()),
                expected,
                "{address}"
            );
        }
    }
}
