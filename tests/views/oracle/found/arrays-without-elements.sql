--- note
An array literal of several dimensions that holds nothing is the empty array.
--- tables
CREATE TABLE t (id int PRIMARY KEY, s text NOT NULL);
--- view v
SELECT id, s::int[] AS a, cardinality(s::int[]) AS n, array_ndims(s::int[]) AS d, '{{},{}}'::text[] = '{}' AS e FROM t
--- transaction
INSERT INTO t VALUES (1, '{{},{}}'), (2, '{ { } }'), (3, '{{1}, {2}}'), (4, '{{NULL}}'), (5, '{}');
