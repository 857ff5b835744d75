-- Nothing comes before the first migration: undoing it would delete everything.
SELECT RAISE_the_first_migration_cannot_be_undone;
