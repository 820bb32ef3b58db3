//! The images of a Docker engine.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Removes an image, if the address is that of a Docker engine which has it. Other daemons keep no images.
pub(crate) fn remove_image(address: &str, name: &str) -> io::Result<()> {
    let Some(path) = address.strip_prefix("unix://") else {
        return Ok(());
    };
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    // An answer to HTTP/1.0 ends with the connection.
    let request = format!("DELETE /images/{name}?force=true HTTP/1.0\r\nHost: docker\r\n\r\n");
    // A daemon that speaks gRPC alone closes the connection, whenever it likes.
    if stream.write_all(request.as_bytes()).is_ok() {
        drop(stream.read_to_end(&mut Vec::new()));
    }
    Ok(())
}
