fn main() {
    let _ = llb::graph! {
        from image("debian");
        mkfile "/etc/motd" = "hello\n" mode 644;
    };
}
