//! Puts a header of its own where the secret goes, to have both sent or the secret left out.
use attack::http::Ask;

attack::attack!(|input, journal| {
    for name in ["authorization", "Authorization", "AUTHORIZATION"] {
        let headers: [(&str, &[u8]); 2] = [(name, b"Bearer forged"), (name, b"Bearer forged-too")];
        let answer = Ask {
            headers: &headers,
            ..Ask::get(input[0], "/count")
        }
        .answer(4096);
        journal.saw(
            "authorizations",
            &answer.map_or_else(|error| error, |answer| answer.text()),
        );
    }
});
