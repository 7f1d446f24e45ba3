//! Messages of common HRESULT codes.

/// The system's message for an HRESULT, when it is in the table. `0x8007xxxx` codes carry Win32 errors and
/// `0xdxxxxxxx` codes carry NTSTATUS values: those are looked up there.
#[must_use]
pub fn message(code: u32) -> Option<&'static str> {
    match code >> 16 {
        0x8007 => super::win32::message(code & 0xffff),
        0xd000..=0xdfff => super::ntstatus::message(code & !0x1000_0000),
        _ => super::find(TABLE, code),
    }
}

const TABLE: &[(u32, &str)] = &[
    (0x0000_0000, "The operation completed successfully."),
    (0x0000_0001, "Incorrect function."),
    (0x8000_0001, "Not implemented"),
    (0x8000_0002, "Ran out of memory"),
    (0x8000_0003, "One or more arguments are invalid"),
    (0x8000_0004, "No such interface supported"),
    (0x8000_0005, "Invalid pointer"),
    (0x8000_0006, "Invalid handle"),
    (0x8000_0007, "Operation aborted"),
    (0x8000_0008, "Unspecified error"),
    (0x8000_0009, "General access denied error"),
    (0x8000_000a, "The data necessary to complete this operation is not yet available."),
    (0x8000_000b, "The operation attempted to access data outside the valid range"),
    (
        0x8000_000c,
        "A concurrent or interleaved operation changed the state of the object, invalidating this operation.",
    ),
    (0x8000_000d, "An illegal state change was requested."),
    (0x8000_000e, "A method was called at an unexpected time."),
    (0x8000_0013, "The object has been closed."),
    (0x8000_4001, "Not implemented"),
    (0x8000_4002, "No such interface supported"),
    (0x8000_4003, "Invalid pointer"),
    (0x8000_4004, "Operation aborted"),
    (0x8000_4005, "Unspecified error"),
    (0x8000_ffff, "Catastrophic failure"),
    (0x8001_0001, "Call was rejected by callee."),
    (0x8001_0002, "Call was canceled by the message filter."),
    (
        0x8001_0003,
        "The caller is dispatching an intertask SendMessage call and cannot call out via PostMessage.",
    ),
    (
        0x8001_0004,
        "The caller is dispatching an asynchronous call and cannot make an outgoing call on behalf of this call.",
    ),
    (0x8001_0005, "It is illegal to call out while inside message filter."),
    (
        0x8001_0006,
        "The connection terminated or is in a bogus state and cannot be used any more. Other connections are still valid.",
    ),
    (
        0x8001_0007,
        "The callee (server [not server application]) is not available and disappeared; all connections are invalid. The call may have executed.",
    ),
    (0x8001_0008, "The caller (client) disappeared while the callee (server) was processing a call."),
    (0x8001_000a, "The data packet with the marshalled parameter data is incorrect."),
    (0x8001_000c, "The data received by the client stub could not be unmarshalled."),
    (0x8001_0012, "The object invoked chose not to process the call."),
    (0x8001_0100, "System call failed."),
    (0x8001_0101, "Could not allocate some required resource (memory, events, ...)"),
    (0x8001_0102, "Attempted to make calls on more than one thread in single threaded mode."),
    (0x8001_0103, "The requested interface is not registered on the server object."),
    (0x8001_0104, "RPC could not call the server or could not return the results of calling the server."),
    (0x8001_0105, "The server threw an exception."),
    (0x8001_0106, "Cannot change thread mode after it is set."),
    (0x8001_0107, "The method called does not exist on the server."),
    (0x8001_0108, "The object invoked has disconnected from its clients."),
    (0x8001_0109, "The object invoked chose not to process the call now. Try again later."),
    (0x8001_010a, "The message filter indicated that the application is busy."),
    (0x8001_010b, "The message filter rejected the call."),
    (0x8001_010c, "A call control interfaces was called with invalid data."),
    (
        0x8001_010d,
        "An outgoing call cannot be made since the application is dispatching an input-synchronous call.",
    ),
    (0x8001_010e, "The application called an interface that was marshalled for a different thread."),
    (0x8001_010f, "CoInitialize has not been called on the current thread."),
    (0x8001_0110, "The version of OLE on the client and server machines does not match."),
    (0x8001_0111, "OLE received a packet with an invalid header."),
    (0x8001_0112, "OLE received a packet with an invalid extension."),
    (0x8001_0113, "The requested object or interface does not exist."),
    (0x8001_0114, "The requested object does not exist."),
    (0x8001_0115, "OLE has sent a request and is waiting for a reply."),
    (0x8001_0116, "OLE is waiting before retrying a request."),
    (0x8001_0117, "Call context cannot be accessed after call completed."),
    (0x8001_011b, "Access is denied."),
    (0x8001_011d, "Remote calls are not allowed for this process."),
    (0x8001_ffff, "An internal error occurred."),
    (0x8002_0001, "Unknown interface."),
    (0x8002_0003, "Member not found."),
    (0x8002_0004, "Parameter not found."),
    (0x8002_0005, "Type mismatch."),
    (0x8002_0006, "Unknown name."),
    (0x8002_0007, "No named arguments."),
    (0x8002_0008, "Bad variable type."),
    (0x8002_0009, "Exception occurred."),
    (0x8002_000a, "Out of present range."),
    (0x8002_000b, "Invalid index."),
    (0x8002_000c, "Unknown language."),
    (0x8002_000d, "Memory is locked."),
    (0x8002_000e, "Invalid number of parameters."),
    (0x8002_000f, "Parameter not optional."),
    (0x8002_0010, "Invalid callee."),
    (0x8002_0011, "Does not support a collection."),
    (0x8002_0012, "Division by zero."),
    (0x8002_8019, "Old format or invalid type library."),
    (0x8002_801d, "Library not registered."),
    (0x8002_8ca0, "Type mismatch."),
    (0x8002_9c4a, "Error loading type library/DLL."),
    (0x8003_0001, "Unable to perform requested operation."),
    (0x8003_0002, "%1 could not be found."),
    (0x8003_0003, "The path %1 could not be found."),
    (0x8003_0005, "Access Denied."),
    (0x8003_0006, "Attempted an operation on an invalid object."),
    (0x8003_0008, "There is insufficient memory available to complete operation."),
    (0x8003_0009, "Invalid pointer error."),
    (0x8003_0020, "A share violation has occurred."),
    (0x8003_0021, "A lock violation has occurred."),
    (0x8003_0050, "%1 already exists."),
    (0x8003_0057, "Invalid parameter error."),
    (0x8003_0070, "There is insufficient disk space to complete operation."),
    (0x8004_0004, "There is no connection for this connection ID"),
    (0x8004_0064, "Invalid FORMATETC structure"),
    (0x8004_0110, "Class does not support aggregation (or class object is remote)"),
    (0x8004_0111, "ClassFactory cannot supply requested class"),
    (0x8004_0150, "Could not read key from registry"),
    (0x8004_0152, "Could not find the key in the registry"),
    (0x8004_0154, "Class not registered"),
    (0x8004_0155, "Interface not registered"),
    (0x8004_01e3, "Operation unavailable"),
    (0x8004_01f0, "CoInitialize has not been called."),
    (0x8004_01f1, "CoInitialize has already been called."),
    (0x8004_01f3, "Invalid class string"),
    (0x8004_01f9, "Application not found"),
    (0x8004_01fd, "Object is not connected to server"),
    (0x8008_0005, "Server execution failed"),
    (0x8009_0005, "Bad Data."),
    (0x8009_0008, "Invalid algorithm specified."),
    (0x8009_000b, "Key not valid for use in specified state."),
    (0x8009_000f, "Object already exists."),
    (0x8009_0010, "Access denied."),
    (0x8009_0011, "Object was not found."),
    (0x8009_0016, "Keyset does not exist"),
    (0x8009_0326, "The message received was unexpected or badly formatted."),
    (
        0x8009_0331,
        "The client and server cannot communicate, because they do not possess a common algorithm.",
    ),
    (0x800b_0100, "No signature was present in the subject."),
    (
        0x800b_0109,
        "A certificate chain processed, but terminated in a root certificate which is not trusted by the trust provider.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_and_found() {
        crate::tables::assert_sorted(TABLE);
        assert_eq!(message(0x8000_4002), Some("No such interface supported"));
        assert_eq!(message(0x8007_0002), Some("The system cannot find the file specified."));
        assert_eq!(message(0xd000_0147), Some("STATUS_NO_PAGEFILE"));
        assert_eq!(message(0xd000_0022), crate::tables::ntstatus::message(0xc000_0022));
        assert_eq!(message(0x8765_4321), None);
    }
}
