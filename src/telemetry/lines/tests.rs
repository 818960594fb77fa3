//! Lines arrive complete and in order; a slow reader delays no one.

use super::*;
use std::sync::mpsc::{Receiver, Sender, channel};

/// An output that forwards what it gets, and may block.
struct Output {
    sender: Sender<Vec<u8>>,
    open: Option<Receiver<()>>,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // From then on it accepts everything.
        if let Some(open) = self.open.take() {
            open.recv().map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        }
        self.sender.send(bytes.to_vec()).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn all_lines_arrive_complete_and_in_order() {
    let (sender, received) = channel();
    let (lines, guard) = Lines::new(Output { sender, open: None }).unwrap();
    (0..1000).for_each(|number| lines.put(format!("{number}\n").as_bytes()));
    drop(guard);
    let text = String::from_utf8(received.try_iter().flatten().collect()).unwrap();
    assert_eq!(text, (0..1000).map(|number| format!("{number}\n")).collect::<String>());
    assert_eq!(lines.dropped(), 0);
    lines.put(b"late\n");
    assert_eq!(lines.dropped(), 1);
}

#[test]
fn a_slow_reader_loses_lines_and_delays_no_writer() {
    let (sender, received) = channel();
    let (opener, open) = channel();
    let (lines, guard) = Lines::new(Output { sender, open: Some(open) }).unwrap();
    let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
    let put = 3 * MOST / line.len();
    (0..put).for_each(|_| lines.put(&line));
    let dropped = lines.dropped();
    assert!(usize::try_from(dropped).unwrap() >= put - 2 * MOST / line.len(), "{dropped}");
    // A reader that resumes gets the rest, complete.
    opener.send(()).unwrap();
    drop(guard);
    let arrived = received.try_iter().flatten().filter(|byte| *byte == b'\n').count();
    assert_eq!(arrived + usize::try_from(lines.dropped()).unwrap(), put);
}

#[test]
fn lines_that_cannot_be_written_are_counted_one_by_one() {
    let (sender, received) = channel();
    drop(received);
    let (lines, guard) = Lines::new(Output { sender, open: None }).unwrap();
    (0..10).for_each(|_| lines.put(b"lost\n"));
    drop(guard);
    assert_eq!(lines.dropped(), 10);
}

#[test]
fn shutdown_completes_with_a_full_buffer_and_no_reader() {
    let (sender, _received) = channel();
    let (_opener, open) = channel();
    let (lines, guard) = Lines::new(Output { sender, open: Some(open) }).unwrap();
    let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
    while lines.dropped() == 0 {
        lines.put(&line);
    }
    drop(guard);
    let before = lines.dropped();
    lines.put(&line);
    assert_eq!(lines.dropped(), before + 1);
}

#[test]
fn what_is_printed_comes_before_the_lines_that_were_held() {
    let (sender, received) = channel();
    let (lines, guard) = Lines::new(Output { sender, open: None }).unwrap();
    lines.hold(Duration::from_secs(3600));
    lines.put(b"line\n");
    lines.print(b"banner\n");
    drop(guard);
    assert_eq!(String::from_utf8(received.try_iter().flatten().collect()).unwrap(), "banner\nline\n");
}
