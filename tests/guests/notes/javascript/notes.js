// Deletes a note, once the user has said yes. The same in each language; see docs/rich.md.

import { progress } from "wassette:mcp/client@0.1.0";

const schema = {
  type: "object",
  properties: { name: { type: "string" } },
  required: ["name"],
};

/** A question with one box to tick. */
function confirm(name) {
  const form = { type: "object", properties: { sure: { type: "boolean" } }, required: ["sure"] };
  const question = {
    tag: "elicit-form",
    val: { message: `Delete the note "${name}"?`, schema: JSON.stringify(form) },
  };
  return { tag: "input-required", val: { requests: [{ key: "sure", question }], state: undefined } };
}

function say(text) {
  const content = [{ body: { tag: "text", val: text }, annotations: undefined, meta: undefined }];
  return { tag: "done", val: { content, structured: undefined, isError: false, meta: undefined } };
}

export const tools = {
  list() {
    return [
      {
        name: "delete_note",
        title: "Delete a note",
        description: "Deletes a note after asking the user",
        inputSchema: JSON.stringify(schema),
        outputSchema: undefined,
        icons: [],
        meta: undefined,
      },
    ];
  },

  call(name, args, resume) {
    const note = JSON.parse(args).name;
    if (typeof note !== "string") {
      throw Object.assign(new Error(), { payload: { tag: "invalid", val: "`name` must be a string" } });
    }
    const answer = resume?.responses.find((response) => response.key === "sure");
    if (!answer) return confirm(note);
    const { action, content } = JSON.parse(answer.value);
    if (action !== "accept" || !content?.sure) return say(`The note "${note}" stays.`);
    progress(1, 1, "deleted");
    return say(`The note "${note}" is deleted.`);
  },
};
