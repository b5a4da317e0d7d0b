//! Bodies of PROPFIND, PROPPATCH and LOCK.
#![no_main]

use dav::{LockBody, Patch, PropFind, PropPatch, Reply};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok(asked) = PropFind::parse(body) {
        let _ = Reply::new(asked, false);
    }
    if let Ok(LockBody::New { owner_xml, .. }) = LockBody::parse(body)
        && !owner_xml.is_empty()
    {
        kept(&owner_xml);
    }
    if let Ok(patch) = PropPatch::parse(body) {
        for patch in patch.patches {
            if let Patch::Set { xml, .. } = patch {
                kept(&xml);
            }
        }
    }
});

/// What we store must be readable wherever we print it, and stay as it is.
fn kept(xml: &str) {
    let body = format!(
        "<around-it:propertyupdate xmlns:around-it=\"DAV:\"><around-it:set><around-it:prop>{xml}\
         </around-it:prop></around-it:set></around-it:propertyupdate>"
    );
    match PropPatch::parse(body.as_bytes()) {
        Ok(patch) => match patch.patches.as_slice() {
            [Patch::Set { xml: again, .. }] => {
                // Content that mentions the prefix keeps its binding as well.
                let again = again.replacen(" xmlns:around-it=\"DAV:\"", "", 1);
                let xml = xml.replacen(" xmlns:around-it=\"DAV:\"", "", 1);
                assert_eq!(again, xml);
            }
            other => panic!("{other:?}"),
        },
        // Near the limits the new surroundings may be what is too much.
        Err(dav::XmlError::TooDeep | dav::XmlError::TooLong(_)) => {}
        Err(error) => panic!("{error}: {xml}"),
    }
}
