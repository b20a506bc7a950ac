"""The report: one page that shows what happened in a window, for people. Called by `aos replay report`.

``summaries``  records -> series and tables
``figures``    series -> drawings, as SVG
``markup``     the page's frame and tables
``page``       all of it -> one HTML file that needs nothing else
"""
