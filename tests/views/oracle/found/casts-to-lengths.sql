--- note
Casts to varchar(n) and character(n) cut, pad and compare as PostgreSQL does, of any type.
--- tables
CREATE TABLE t (id int PRIMARY KEY, s text, n int, f float8, m numeric, v varchar(3), c char(4), j jsonb, a int[], d date, b bool);
--- view v
SELECT id, s::varchar(2) AS a, s::char(3) AS b, s::char AS c, s::varchar AS d, s::bpchar AS e, n::varchar(1) AS f, f::varchar(3) AS g, m::char(5) AS h, v::varchar(2) AS i, v::char(5) AS k, c::varchar(3) AS l, c::text AS m, c || 'x' AS n, length(c) AS o FROM t
--- view w
SELECT id, j::varchar(4) AS a, a::varchar(4) AS b, d::char(4) AS c, b::varchar(2) AS e, ARRAY[s, 'xyz']::varchar(2)[] AS f, ARRAY[c]::char(2)[] AS g, c = 'ab' AS h, c::char(2) = 'ab ' AS i, s::char(9) = s AS k, 'abc'::varchar(2) = s AS l FROM t
--- transaction
INSERT INTO t VALUES (1, 'abc', 12, 2.25, 123456.50, 'abc', 'ab', '{"a": 1}', '{1,2,3}', '2020-02-29', true), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (3, 'é€😀', -1, -0.5, 0.10, '', '', '5', '{}', '1999-12-31', false), (4, 'ab   ', 0, 1e20, 7, 'a  ', 'abcd', '"x"', '{NULL}', '0001-01-01', true);
