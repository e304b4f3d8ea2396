"""Patches and field ownership: what PATCH and apply make of an object, and who owns what.

json_patch, merge_patch, strategic   document in, document out
type_schema, builtin_schema          how lists and maps merge, for CRs and core kinds
field_set, compare                   field paths as a trie, and the trie of what changed
managed_fields, apply                metadata.managedFields and server-side apply
"""
