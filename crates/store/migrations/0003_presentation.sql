-- Only SQL that PostgreSQL reads too, as before.

-- How the operator names and describes the tools of a component; JSON that the store does not read.
ALTER TABLE component ADD COLUMN presentation TEXT NOT NULL DEFAULT '{}';
ALTER TABLE component_version ADD COLUMN presentation TEXT NOT NULL DEFAULT '{}';
