update organizations
   set name = $2,
       timezone = $3,
       postal_address = $4,
       settings = $5,
       brand_name = $6,
       brand_colour = $7,
       brand_logo_url = $8,
       holidays = $9,
       slug = $10,
       kind = $11
 where id = $1
returning *;
