-- # Expressions
-- Every expression has PostgreSQL's result type, digits and NULL rules; implicit casts are PostgreSQL's. `float8` sums are exact and rounded once, so that
-- they do not depend on the order of rows; where PostgreSQL's own sums are exact, they are the same.

-- ## Arithmetic
SELECT sku, qty, price, qty * price AS amount, round(price / 3, 2) AS third, qty / 2 AS half, qty % 2 AS odd FROM order_lines;

-- ## CASE, COALESCE, NULLIF, GREATEST, LEAST
SELECT id, CASE WHEN city IS NULL THEN 'unknown' WHEN city LIKE '% %' THEN 'two words' ELSE lower(city) END AS place,
  coalesce(city, '–') AS city, nullif(name, 'Ada') AS not_ada, greatest(id, referrer) AS larger
FROM customers;

-- ## Conditions
-- Three-valued, as in SQL: a row is taken only where the condition is true.
SELECT id FROM customers
WHERE (city IS DISTINCT FROM 'London' OR referrer IS NULL) AND id BETWEEN 1 AND 2 AND name NOT IN ('Eve', 'Mallory') AND name ILIKE '%a%';

-- ## Casts
SELECT id, id::text || '/' || customer_id AS label, placed::date AS day, CAST('12.50' AS numeric(6,1)) AS rounded, '7'::int + 1 AS eight FROM orders;

-- ## Dates, times and intervals
-- Times without a zone are taken as UTC, which is also how timestamps with time zone are printed.
SELECT id, date_trunc('day', placed) AS day, extract(hour FROM placed) AS hour, placed + interval '1 month' AS due,
  to_char(placed, 'DD Mon YYYY, HH24:MI') AS shown, placed::date - date '2024-01-01' AS day_of_year
FROM orders;

-- ## JSON
SELECT sku, data ->> 'colour' AS colour, (data #>> '{size,mm}')::int AS mm, data @> '{"colour": "blue"}' AS is_blue, data ? 'ml' AS has_ml,
  jsonb_build_object('sku', sku, 'first_tag', tags[1]) AS document
FROM products;

-- ## Arrays
SELECT sku, tags[1] AS first, cardinality(tags) AS how_many, 'gift' = ANY(tags) AS is_gift, array_to_string(tags, ', ') AS listed, tags || ARRAY['new'] AS more
FROM products;

-- ## Whole rows
-- The name of a table stands for its row; `t.*` too, inside of a function.
SELECT id, to_json(customers) AS document, ROW(id, name) = ROW(1, 'Ada') AS is_ada FROM customers;

-- ## Not supported: Functions whose result is not a function of the rows
SELECT id FROM orders WHERE placed > now() - interval '1 day';

-- ## Not supported: Window functions
SELECT id, row_number() OVER (PARTITION BY customer_id ORDER BY placed) FROM orders;

-- instead, for the newest order of each customer:
SELECT DISTINCT ON (customer_id) customer_id, id, placed FROM orders ORDER BY customer_id, placed DESC;

-- ## Not supported: Slices of arrays
SELECT tags[1:2] FROM products;

-- ## Not supported: Fields of a row that comes out of a subquery
SELECT (x.r).name FROM (SELECT c AS r FROM customers c) x;
