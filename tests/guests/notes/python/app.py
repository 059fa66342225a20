"""Deletes a note, once the user has said yes. The same in each language; see docs/rich.md."""

import json

import wit_world
from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.tools import Tool, ToolOutcome_Done, ToolOutcome_InputRequired, ToolResult
from wit_world.imports import client
from wit_world.imports.types import (
    Content,
    ContentBody_Text,
    ElicitForm,
    Failure_Invalid,
    InputRequest,
    InputRequired,
    Question_ElicitForm,
)

SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
FORM = {"type": "object", "properties": {"sure": {"type": "boolean"}}, "required": ["sure"]}


def confirm(name):
    """A question with one box to tick."""
    question = Question_ElicitForm(ElicitForm(f'Delete the note "{name}"?', json.dumps(FORM)))
    return ToolOutcome_InputRequired(InputRequired([InputRequest("sure", question)], None))


def say(text):
    content = [Content(ContentBody_Text(text), None, None)]
    return ToolOutcome_Done(ToolResult(content, None, False, None))


class Tools(exports.Tools):
    def list(self):
        description = "Deletes a note after asking the user"
        return [Tool("delete_note", "Delete a note", description, json.dumps(SCHEMA), None, [], None)]

    def call(self, name, arguments, resume):
        note = json.loads(arguments).get("name")
        if not isinstance(note, str):
            raise Err(Failure_Invalid("`name` must be a string"))
        answers = {response.key: response.value for response in resume.responses} if resume else {}
        if "sure" not in answers:
            return confirm(note)
        answer = json.loads(answers["sure"])
        if answer.get("action") != "accept" or not answer.get("content", {}).get("sure"):
            return say(f'The note "{note}" stays.')
        client.progress(1, 1, "deleted")
        return say(f'The note "{note}" is deleted.')
