"""Photos -> what a library keeps of them; on one machine or many, by way of Parquet files."""
