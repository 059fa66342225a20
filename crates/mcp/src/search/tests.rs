//! Who is found by which words, and by which meaning.

use super::*;

#[test]
fn words_are_runs_of_letters_and_digits() {
    assert_eq!(words("text_word-count"), ["text", "word", "count"]);
    assert_eq!(words("readFile, HTTP2 ÄÖ"), ["read", "file", "http2", "äö"]);
    assert!(words(" -_ ").is_empty());
}

#[track_caller]
fn check(query: &str, expected: &[&str]) {
    let tools = [
        ("list_files", "path", "Lists files."),
        ("read_text", "path", "Reads the text of a file."),
        ("write_text", "file path", "Writes text."),
        ("count_text", "", "Counts words."),
        ("convert_time", "zone", "Converts a time."),
    ];
    let described = tools.map(|(name, parameters, description)| {
        let described = Words {
            name: words(name),
            parameters: words(parameters),
            description: words(description),
        };
        (described, name)
    });
    assert_eq!(
        rank(described.into_iter(), &words(query), None),
        expected,
        "{query}"
    );
}

#[test]
fn names_count_more_than_parameters_and_these_more_than_descriptions() {
    check("file", &["write_text", "list_files", "read_text"]);
    check("files", &["list_files", "write_text", "read_text"]);
    check("nothing", &[]);
}

#[test]
fn a_rare_word_counts_more_than_a_common_one() {
    // Three have `text` in their name, one has `zone`, as a parameter only.
    check(
        "text zone",
        &["convert_time", "read_text", "write_text", "count_text"],
    );
}

#[test]
fn words_of_one_stem_are_alike_and_a_word_is_most_like_itself() {
    assert!(alike("count", "count") > alike("counts", "count"));
    assert!(alike("converting", "convert") > 0.0 && alike("files", "file") > 0.0);
    assert!(alike("conv", "conversion") > 0.0);
    for (wanted, other) in [
        ("file", "fetch"),
        ("fi", "file"),
        ("zone", "ozone"),
        ("time", "timid-lines"),
    ] {
        assert!(alike(wanted, other) <= 0.0, "{wanted} {other}");
    }
}

/// Tools of many trades.
const TOOLS: [(&str, &str); 40] = [
    ("remove_entry", "Removes an entry from the filesystem."),
    ("list_files", "Lists the files of a folder."),
    ("read_text", "Reads the text of a file."),
    ("write_text", "Writes text into a file."),
    ("fetch_url", "Fetches a page over HTTP."),
    ("get_forecast", "Gets the weather forecast of a city."),
    ("send_mail", "Sends an e-mail."),
    ("create_issue", "Opens an issue in a repository."),
    ("run_query", "Runs an SQL query against a database."),
    ("resize_image", "Scales a picture to another size."),
    ("translate_text", "Translates a text into another language."),
    ("summarize", "Summarizes a document."),
    ("convert_time", "Converts a time between zones."),
    ("add", "Adds two numbers."),
    ("hash", "Computes the SHA-256 digest of bytes."),
    ("compress", "Packs files into a zip archive."),
    ("get_stock_quote", "Gets the latest quote of a share."),
    ("play_track", "Plays a song."),
    ("create_event", "Adds an event to the calendar."),
    ("search_web", "Searches the web."),
    ("get_route", "Computes directions between two places."),
    ("list_branches", "Lists the branches of a git repository."),
    ("merge_pull_request", "Merges a pull request."),
    ("random_number", "Gives a random number."),
    ("word_count", "Counts the words of a text."),
    ("parse_json", "Parses JSON."),
    ("sentiment", "Says whether a review is positive or negative."),
    ("encrypt", "Encrypts data with a key."),
    ("get_user", "Looks up a user by id."),
    ("speak", "Turns text into speech."),
    ("transcribe", "Turns an audio recording into text."),
    ("get_exchange_rate", "Converts between currencies."),
    ("restart_service", "Restarts a service."),
    ("list_containers", "Lists running Docker containers."),
    ("plot", "Draws a chart of values."),
    ("set_thermostat", "Sets the temperature of a room."),
    ("book_flight", "Books a flight."),
    ("post_message", "Posts a message to a Slack channel."),
    ("find_recipe", "Finds a recipe by its ingredients."),
    ("ping_host", "Checks whether a host can be reached."),
];

/// What somebody may ask for, and the tool that is meant. Few have a word in common.
const ASKED: [(&str, &str); 47] = [
    ("delete a document", "remove_entry"),
    ("erase", "remove_entry"),
    ("show directory contents", "list_files"),
    ("open a document and view its contents", "read_text"),
    ("save to disk", "write_text"),
    ("download a website", "fetch_url"),
    ("will it rain tomorrow", "get_forecast"),
    ("temperature outside", "get_forecast"),
    ("notify someone by email", "send_mail"),
    ("report a bug", "create_issue"),
    ("select rows from a table", "run_query"),
    ("make a photo smaller", "resize_image"),
    ("shrink picture", "resize_image"),
    ("say this in French", "translate_text"),
    ("shorten this article", "summarize"),
    ("what hour is it in Tokyo", "convert_time"),
    ("sum", "add"),
    ("plus", "add"),
    ("checksum", "hash"),
    ("make a tarball", "compress"),
    ("price of Apple shares", "get_stock_quote"),
    ("listen to music", "play_track"),
    ("schedule a meeting", "create_event"),
    ("google something", "search_web"),
    ("how do I drive to the airport", "get_route"),
    ("navigation", "get_route"),
    ("version control", "list_branches"),
    ("accept a code contribution", "merge_pull_request"),
    ("roll a dice", "random_number"),
    ("length of an essay", "word_count"),
    ("decode structured data", "parse_json"),
    ("is this customer happy", "sentiment"),
    ("make data secret", "encrypt"),
    ("find a person's account", "get_user"),
    ("read aloud", "speak"),
    ("voice to text", "transcribe"),
    ("dollars to euros", "get_exchange_rate"),
    ("reboot a daemon", "restart_service"),
    ("virtual machines", "list_containers"),
    ("graph", "plot"),
    ("visualize numbers", "plot"),
    ("heating", "set_thermostat"),
    ("travel by plane", "book_flight"),
    ("chat with the team", "post_message"),
    ("cooking dinner", "find_recipe"),
    ("is the server up", "ping_host"),
    ("network connectivity", "ping_host"),
];

#[test]
fn tools_are_found_by_what_they_mean() {
    let described = TOOLS.map(|(name, description)| Words {
        name: words(name),
        parameters: Vec::new(),
        description: words(description),
    });
    let place = |(query, meant): (&'static str, &'static str)| {
        let described = described.iter().cloned().zip(TOOLS.map(|(name, _)| name));
        let wanted = words(query);
        let meaning = Meaning::of(wanted.iter().map(String::as_str));
        let ranked = rank(described, &wanted, meaning.as_ref());
        (query, ranked.iter().position(|name| *name == meant))
    };
    let places = ASKED.map(place);
    let is_within = |most: usize, place: Option<usize>| place.is_some_and(|place| place < most);
    let found = [1, 3, 10].map(|most| places.iter().filter(|(_, place)| is_within(most, *place)).count());
    let missed: Vec<_> = places
        .iter()
        .filter(|(_, place)| !is_within(10, *place))
        .collect();
    // Of 47; by words alone it would be four.
    assert!(
        found[0] >= 30 && found[1] >= 39 && found[2] >= 43,
        "{found:?}, not among ten: {missed:?}"
    );
}

#[test]
fn a_tool_that_is_named_is_first_and_what_has_nothing_in_common_is_not_found() {
    let described = TOOLS.map(|(name, description)| Words {
        name: words(name),
        parameters: Vec::new(),
        description: words(description),
    });
    let found = |query: &str| {
        let wanted = words(query);
        let meaning = Meaning::of(wanted.iter().map(String::as_str));
        let described = described.iter().cloned().zip(TOOLS.map(|(name, _)| name));
        rank(described, &wanted, meaning.as_ref())
    };
    for (name, _) in TOOLS {
        assert_eq!(found(name).first(), Some(&name));
    }
    assert!(found("xqzzyk").is_empty());
}
