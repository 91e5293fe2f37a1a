//! Whether the pieces of an Arrow IPC file lie where it says: the general reader takes a damaged file at its word and
//! panics. What the pieces hold is checked by that reader.

use arrow_ipc::{Block, MessageHeader, RecordBatch, root_as_footer, root_as_message};

const MAGIC: &[u8] = b"ARROW1";
const CONTINUATION: [u8; 4] = [0xff; 4];

/// Checks that every block is inside the file and every buffer inside its block.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    if bytes.len() < 32 || !bytes.starts_with(MAGIC) || !bytes.ends_with(MAGIC) {
        return Err("no Arrow file, or a truncated one".to_owned());
    }
    let end = bytes.len() - MAGIC.len() - 4;
    let length = i32::from_le_bytes([bytes[end], bytes[end + 1], bytes[end + 2], bytes[end + 3]]);
    let start = usize::try_from(length).ok().and_then(|length| end.checked_sub(length));
    let start = start.ok_or("a footer longer than the file")?;
    let footer = root_as_footer(&bytes[start..end]).map_err(|err| format!("damaged footer: {err}"))?;
    let dictionaries = footer.dictionaries().into_iter().flatten();
    dictionaries
        .chain(footer.recordBatches().into_iter().flatten())
        .try_for_each(|block| check_block(bytes, block))
}

fn check_block(bytes: &[u8], block: &Block) -> Result<(), String> {
    let whole = |value: i64| usize::try_from(value).map_err(|_| "a block of negative place or length");
    let (start, body_length) = (whole(block.offset())?, whole(block.bodyLength())?);
    let head =
        start.checked_add(whole(i64::from(block.metaDataLength()))?).ok_or("a block beyond the file")?;
    let end = head.checked_add(body_length).ok_or("a block beyond the file")?;
    let head_bytes =
        bytes.get(start..head).filter(|_| end <= bytes.len()).ok_or("a block beyond the file")?;
    let prefix = if head_bytes.starts_with(&CONTINUATION) { 8 } else { 4 };
    let message = head_bytes.get(prefix..).ok_or("a block without a header")?;
    let message = root_as_message(message).map_err(|err| format!("damaged header: {err}"))?;
    let batch = match message.header_type() {
        MessageHeader::DictionaryBatch => message.header_as_dictionary_batch().and_then(|batch| batch.data()),
        _ => message.header_as_record_batch(),
    };
    check_buffers(batch.ok_or("a block that is no batch")?, body_length)
}

fn check_buffers(batch: RecordBatch<'_>, body_length: usize) -> Result<(), String> {
    let inside = |offset: i64, length: i64| {
        let end = usize::try_from(offset).ok()?.checked_add(usize::try_from(length).ok()?)?;
        (end <= body_length).then_some(())
    };
    let mut buffers = batch.buffers().into_iter().flatten();
    if buffers.any(|buffer| inside(buffer.offset(), buffer.length()).is_none()) {
        return Err("a buffer beyond its block".to_owned());
    }
    Ok(())
}
