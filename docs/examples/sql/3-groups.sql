-- # Groups and aggregates
-- count, sum, avg and the like change by the difference of a row. min, max and whatever puts rows together (string_agg, array_agg, json_agg …)
-- keep the rows of each group in order, and render a group once in each step, however many of its rows changed.

-- ## GROUP BY
SELECT order_id, count(*) AS lines, sum(qty) AS items, sum(qty * price) AS amount, avg(price) AS average, min(sku) AS first, max(price) AS dearest
FROM order_lines GROUP BY order_id;

-- ## Without GROUP BY there is one row, of no rows too
SELECT count(*) AS orders, max(placed) AS newest, sum(id) FILTER (WHERE status = 'lost') AS lost FROM orders;

-- ## HAVING
SELECT customer_id, count(*) AS orders FROM orders GROUP BY customer_id HAVING count(*) > 1;

-- ## GROUP BY an expression
SELECT date_trunc('day', placed) AS day, count(*) AS orders FROM orders GROUP BY date_trunc('day', placed);

-- ## FILTER and DISTINCT
SELECT count(*) FILTER (WHERE status = 'paid') AS paid, count(DISTINCT customer_id) AS customers FROM orders;

-- ## ORDER BY in an aggregate
-- Without it, rows come in the order of the key of the table that they are from, so that a rebuilt view has the same bytes.
SELECT order_id, string_agg(sku, ', ' ORDER BY price DESC) AS skus, array_agg(sku ORDER BY no) AS in_order FROM order_lines GROUP BY order_id;

-- ## Documents
SELECT o.id, json_agg(json_build_object('sku', l.sku, 'qty', l.qty) ORDER BY l.no) AS lines
FROM orders o JOIN order_lines l ON l.order_id = o.id GROUP BY o.id;

-- ## Documents in documents
SELECT c.id, c.name, (
  SELECT coalesce(json_agg(json_build_object('id', o.id, 'status', o.status, 'lines', (
      SELECT json_agg(json_build_object('sku', l.sku, 'product', p.title, 'qty', l.qty) ORDER BY l.no)
      FROM order_lines l JOIN products p ON p.sku = l.sku WHERE l.order_id = o.id)) ORDER BY o.id), '[]')
  FROM orders o WHERE o.customer_id = c.id) AS orders
FROM customers c;

-- ## The same by joins
SELECT c.id, c.name, coalesce(json_agg(o.document ORDER BY o.id) FILTER (WHERE o.id IS NOT NULL), '[]') AS orders
FROM customers c LEFT JOIN (
  SELECT o.id, o.customer_id, json_build_object('id', o.id, 'lines', json_agg(l.sku ORDER BY l.no)) AS document
  FROM orders o LEFT JOIN order_lines l ON l.order_id = o.id GROUP BY o.id, o.customer_id) o ON o.customer_id = c.id
GROUP BY c.id, c.name;

-- ## Whole rows as elements
SELECT c.id, array_agg(o.* ORDER BY o.placed DESC) AS orders FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.id;

-- ## Not supported: Grouping sets, ROLLUP and CUBE
SELECT status, count(*) FROM orders GROUP BY ROLLUP (status);

-- instead:
SELECT status, count(*) FROM orders GROUP BY status UNION ALL SELECT NULL, count(*) FROM orders;

-- ## Not supported: Ordered-set aggregates
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY price) FROM order_lines;
