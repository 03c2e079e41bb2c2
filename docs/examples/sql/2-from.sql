-- # Joins and FROM
-- A join on an equality costs one look-up for each changed row. A join without one compares each changed row with every row of the other side;
-- `check` warns of it.

-- ## INNER JOIN
SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.customer_id;

-- ## LEFT JOIN
SELECT c.name, o.id AS order_id FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND o.status = 'paid';

-- ## RIGHT JOIN
SELECT o.id, p.amount FROM payments p RIGHT JOIN orders o ON o.id = p.order_id;

-- ## FULL JOIN
SELECT coalesce(o.id, p.order_id) AS order_id, o.status, p.amount
FROM (SELECT * FROM orders WHERE status = 'open') o FULL JOIN payments p ON p.order_id = o.id;

-- ## USING and NATURAL
SELECT sku, title, qty FROM order_lines JOIN products USING (sku);

-- ## CROSS JOIN
SELECT c.id, v.kind FROM customers c CROSS JOIN (VALUES ('email'), ('letter')) v(kind);

-- ## Self-joins
SELECT c.name, r.name AS referred_by FROM customers c JOIN customers r ON r.id = c.referrer;

-- ## Joins without an equality
SELECT a.id AS earlier, b.id AS later FROM orders a JOIN orders b ON a.placed < b.placed;

-- ## Subqueries in FROM
SELECT s.order_id, s.amount FROM (SELECT order_id, sum(qty * price) AS amount FROM order_lines GROUP BY order_id) s WHERE s.amount > 10;

-- ## LATERAL: the first rows for each row
SELECT c.name, newest.id, newest.placed
FROM customers c LEFT JOIN LATERAL (
  SELECT o.id, o.placed FROM orders o WHERE o.customer_id = c.id ORDER BY o.placed DESC, o.id LIMIT 1) newest ON true;

-- ## VALUES
SELECT v.status, v.label FROM (VALUES ('paid', 'Paid'), ('open', 'Waiting')) v(status, label);

-- ## unnest
SELECT p.sku, tag, place FROM products p CROSS JOIN unnest(p.tags) WITH ORDINALITY AS t(tag, place);

-- ## generate_series
SELECT l.order_id, l.sku, item FROM order_lines l, generate_series(1, l.qty) AS item WHERE l.qty > 1;

-- ## json_array_elements
SELECT e.value ->> 'a' AS a FROM products p, jsonb_array_elements('[{"a": 1}, {"a": 2}]') e WHERE p.sku = 'mug';

-- ## Not supported: ROWS FROM
SELECT * FROM ROWS FROM (generate_series(1, 2), generate_series(1, 3));

-- ## Not supported: Set-returning functions outside of FROM
SELECT sku, unnest(tags) FROM products;

-- instead:
SELECT sku, tag FROM products CROSS JOIN LATERAL unnest(tags) AS tag;

-- ## Not supported: TABLESAMPLE
SELECT * FROM orders TABLESAMPLE system (10);

-- ## Not supported: Subqueries in join conditions
SELECT o.id, p.amount FROM orders o LEFT JOIN payments p ON p.order_id = o.id AND p.amount > (SELECT avg(amount) FROM payments);

-- instead:
SELECT o.id, p.amount FROM orders o CROSS JOIN (SELECT avg(amount) AS average FROM payments) a
LEFT JOIN payments p ON p.order_id = o.id AND p.amount > a.average;
